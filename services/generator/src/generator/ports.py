"""What the handlers need from the outside, named by use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from contracts.envelope import Event
from contracts.generator import JobProgress
from contracts.ids import OrderId
from contracts.media import MediaRef
from generator.domain.claims import JobRecord, Outcome
from generator.domain.graphs import ResultFile
from generator.domain.progress import NodeProgress
from generator.domain.prompts import Ending, Queue, Sighting
from generator.domain.tiers import Wish


class PromptListener(Protocol):
    """Hints of the WebSocket about one prompt. They may come late, twice or never."""

    def started(self) -> None: ...

    def entered(self, node: str) -> None: ...

    def progressed(self, nodes: Mapping[str, NodeProgress]) -> None: ...

    def previewed(self, image: bytes) -> None: ...

    def ended(self) -> None: ...

    def queue_empty(self) -> None:
        """The server has nothing left to do: the prompt has just ended, or it is lost."""
        ...

    def look_again(self) -> None:
        """The socket was away: whatever it said meanwhile is lost, so ask over HTTP."""
        ...


class ComfyServer(Protocol):
    """One ComfyUI. Every call raises ServerUnreachableError when it does not answer.

    What posts or deletes raises NotHolderError without the lease.
    """

    name: str

    @property
    def socket_alive(self) -> bool: ...

    @property
    def connections(self) -> int:
        """How often the socket was opened: one more means that the server may have restarted."""
        ...

    async def probe(self) -> str:
        """Return the version; anything else raises."""
        ...

    async def missing_classes(self, classes: set[str]) -> set[str]: ...

    async def upload(self, name: str, body: bytes, mime: str) -> str:
        """Store an input file; returns the name ComfyUI gave it."""
        ...

    async def submit(self, prompt_id: str, graph: Mapping[str, Any], note: dict[str, Any]) -> None:
        """Post a prompt. Raises AttemptFailedError when refused, ServerAnswerError on a 5xx."""
        ...

    async def queue(self) -> Queue: ...

    async def look_up(self, prompt_id: str) -> Sighting: ...

    async def ending(self, prompt_id: str) -> Ending | None:
        """Return how the prompt ended, or None while its history is not written."""
        ...

    async def delete(self, prompt_id: str) -> None:
        """Take a pending prompt out of the queue; says nothing about whether it was there."""
        ...

    async def interrupt(self, prompt_id: str) -> None: ...

    async def free_memory(self) -> None: ...

    async def forget(self, prompt_id: str) -> None:
        """Drop the history entry: it holds the person's text."""
        ...

    async def download(self, file: ResultFile) -> bytes:
        """Return a result file; AttemptFailedError when ComfyUI no longer has it."""
        ...

    def listen(self, prompt_id: str, listener: PromptListener) -> None: ...

    def unlisten(self, prompt_id: str) -> None: ...


class StoredRecord(msgspec.Struct, frozen=True, kw_only=True):
    record: JobRecord
    revision: int


class RevisionConflictError(Exception):
    """Somebody else wrote the record first: read again and decide again."""


class Claims(Protocol):
    """The records `jobs/<order_id>`. Writes raise RevisionConflictError, or TransientError."""

    async def read(self, order_id: OrderId) -> StoredRecord | None: ...

    async def create(self, order_id: OrderId, record: JobRecord) -> int: ...

    async def write(
        self, order_id: OrderId, record: JobRecord, revision: int, *, ttl: timedelta | None = None
    ) -> int: ...

    async def note_held(self, server: str, orders: Sequence[OrderId]) -> None:
        """Note which orders a server holds, before it claims one more."""
        ...

    async def held(self, server: str) -> tuple[OrderId, ...]: ...

    async def watch(
        self, order_id: OrderId, on_change: Callable[[JobRecord], None]
    ) -> Callable[[], Awaitable[None]]:
        """Call `on_change` when anybody writes the record: a hint that may be missed.

        Returns what ends the watching.
        """
        ...


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One delivered job, still undecoded. `order_id` is None where even the header is missing."""

    order_id: OrderId | None
    body: bytes
    pool: str
    lane: str
    ack_subject: str
    traceparent: str
    deliveries: int
    sent_at: datetime | None = None


class Jobs(Protocol):
    """The JOBS stream, one job at a time."""

    async def next(self, wish: Wish) -> Arrival | None:
        """Wait for the best job of a wish; None once `release` was called."""
        ...

    async def release(self) -> None:
        """End the running `next`; what it was late to get is handed back."""
        ...


class Settlement(Protocol):
    """The acknowledgement of one delivered job, by its ack subject.

    A lost one is not raised: the job is delivered again, and its record says that it is settled.
    """

    async def ack(self, ack_subject: str) -> None:
        """Acknowledge, and wait until the server has it."""
        ...

    async def hand_back(self, ack_subject: str, delay: timedelta) -> None: ...

    async def in_progress(self, ack_subject: str) -> None: ...

    async def park(self, arrival: Arrival, reason: str) -> None:
        """Put a job nobody can be told about among the dead, with an alert."""
        ...


class InputUnusableError(Exception):
    """An input is gone from the store or is not the file the order was placed with."""


class Media(Protocol):
    """Inputs from and results to the object store."""

    async def fetch(self, ref: MediaRef) -> bytes:
        """Return an input whose hash was verified. Raises InputUnusableError."""
        ...

    async def store(self, key: str, body: bytes, file: ResultFile) -> MediaRef:
        """Strip a result of its metadata and store it under `key` plus its extension.

        Raises AttemptFailedError when it cannot be read as what it should be.
        """
        ...

    async def preview(self, image: bytes) -> bytes:
        """Return a small JPEG of a preview, or nothing when it cannot be read."""
        ...


class Events(Protocol):
    """What the generator tells others. Returns only after the PubAck; retries until then."""

    async def tell(self, order_id: OrderId, epoch: int, event: Event) -> None: ...

    async def tell_outcome(self, order_id: OrderId, outcome: Outcome) -> None: ...

    async def progress(self, message: JobProgress) -> None:
        """Fire and forget."""
        ...
