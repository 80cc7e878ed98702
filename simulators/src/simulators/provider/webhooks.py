"""Tells the shop what happened: attempt after attempt, late, twice or out of order as ordered."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import aiohttp

from simulators.provider.faults import Faults
from simulators.provider.options import ProviderOptions
from simulators.telegram.clock import SimClock

Json = dict[str, Any]

REORDER_WAIT_SECONDS = 5.0
LATE_SECONDS = 60.0


@dataclass(slots=True)
class Attempt:
    kind: str  # normal, forged, duplicate, replay, resend
    at: float
    signature: str  # empty where the provider does not sign
    body: str
    status: int = 0  # 0: no answer
    error: str | None = None
    duration_ms: float = 0.0


@dataclass(slots=True, kw_only=True)
class Delivery:
    id: int
    subject: int | str  # the id of what it is about
    payload: Json
    # waiting, delivered, failed (all attempts), dropped (webhooks off), lost (by a fault)
    state: str = "waiting"
    attempts: list[Attempt] = field(default_factory=list)
    first_try: asyncio.Event = field(default_factory=asyncio.Event)

    def view(self) -> Json:
        return {
            "id": self.id,
            "state": self.state,
            "attempts": [
                {name: getattr(attempt, name) for name in Attempt.__slots__}
                for attempt in self.attempts
            ],
        }


AnyDelivery = TypeVar("AnyDelivery", bound=Delivery)


class Sender(ABC, Generic[AnyDelivery]):
    """A provider's own sender says when attempts are due and what is in them."""

    due_seconds: ClassVar[Sequence[float]]

    def __init__(self, options: ProviderOptions, faults: Faults[Any], clock: SimClock) -> None:
        self.url = options.webhook_url
        self.enabled = bool(options.webhook_url)
        self.disabled_at: float | None = None
        self.disabled_reason: str | None = None
        self.deliveries: dict[int, AnyDelivery] = {}
        self._options = options
        self._faults = faults
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._last_id = 0
        self._arrived = asyncio.Event()
        self._last_accepted: bytes | None = None

    # --- what differs -----------------------------------------------------------------------

    @abstractmethod
    def body_of(self, delivery: AnyDelivery) -> bytes: ...

    @abstractmethod
    def headers_of(self, kind: str, body: bytes, /) -> tuple[dict[str, str], str]:
        """The headers of an attempt, and its signature."""

    @abstractmethod
    def accepts(self, status: int) -> bool: ...

    @abstractmethod
    def gave_up(self) -> None:
        """The last attempt failed too."""

    # --- the owner's switches ---------------------------------------------------------------

    def configure(self, url: str | None, enabled: bool | None) -> None:
        """What the owner of the shop does: set the address, switch on or off."""
        if url is not None:
            self.url = url
            self.enabled = bool(url)
        if enabled is not None:
            self.enabled = enabled
        if self.enabled:
            self.disabled_at = self.disabled_reason = None
        elif self.disabled_at is None:
            self.disable("switched off by the owner")

    def disable(self, reason: str) -> None:
        self.enabled = False
        self.disabled_at = self._clock.now()
        self.disabled_reason = reason

    # --- one delivery -----------------------------------------------------------------------

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def dispatch(self, delivery: AnyDelivery) -> AnyDelivery:
        self.deliveries[delivery.id] = delivery
        if not self.enabled:
            delivery.state = "dropped"
        elif self._faults.about("lost", delivery.subject) is not None:
            delivery.state = "lost"
        else:
            task = asyncio.create_task(self._deliver(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._arrived.set()
        return delivery

    async def _deliver(self, delivery: AnyDelivery) -> None:
        # Taken together, before the first wait: a later delivery must not get this one's faults.
        late = self._faults.about("late", delivery.subject)
        reorder = self._faults.about("reorder", delivery.subject)
        replay = self._faults.about("replay", delivery.subject)
        if late is not None:
            await self._clock.wait_until(self._clock.now() + (late.seconds or LATE_SECONDS))
        if reorder is not None:
            await self._let_the_next_go_first(delivery, reorder.seconds or REORDER_WAIT_SECONDS)
        if replay is not None and self._last_accepted is not None:
            await self._post(delivery, "replay", self._last_accepted)
        began = self._clock.now()
        for due in self.due_seconds:
            await self._clock.wait_until(began + due * self._options.time_scale)
            if not self.enabled:
                delivery.state = "dropped"
                return
            if await self._try(delivery):
                delivery.state = "delivered"
                return
        delivery.state = "failed"
        self.gave_up()

    async def _try(self, delivery: AnyDelivery) -> bool:
        forged = self._faults.about("forged", delivery.subject) is not None
        body = self.body_of(delivery)
        attempt = await self._post(delivery, "forged" if forged else "normal", body)
        delivery.first_try.set()
        accepted = self.accepts(attempt.status)
        if accepted and not forged:
            self._last_accepted = body
            duplicate = self._faults.about("duplicate", delivery.subject)
            for _ in range(duplicate.copies if duplicate else 0):
                await self._post(delivery, "duplicate", body)
        return accepted

    async def _let_the_next_go_first(self, delivery: AnyDelivery, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (following := self.deliveries.get(delivery.id + 1)) is None:
                    self._arrived.clear()
                    await self._arrived.wait()
                await following.first_try.wait()

    async def _post(self, delivery: Delivery, kind: str, body: bytes) -> Attempt:
        headers, signature = self.headers_of(kind, body)
        attempt = Attempt(kind, self._clock.now(), signature, body.decode())
        delivery.attempts.append(attempt)
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._options.webhook_timeout_seconds)
            self._session = aiohttp.ClientSession(timeout=timeout)
        headers = {"Content-Type": "application/json", **headers}
        began = time.monotonic()
        try:
            async with self._session.post(
                self.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                attempt.status = response.status
        except TimeoutError:
            attempt.error = "timeout"
        except (aiohttp.ClientError, ValueError) as error:
            attempt.error = f"{type(error).__name__}: {error}"
        attempt.duration_ms = (time.monotonic() - began) * 1_000
        return attempt

    # --- by hand ----------------------------------------------------------------------------

    async def resend(self, delivery: AnyDelivery, *, verbatim: bool) -> Attempt:
        """Post it again now; verbatim: the very bytes of the last genuine attempt."""
        genuine = [attempt for attempt in delivery.attempts if attempt.kind != "forged"]
        old = verbatim and genuine
        body = genuine[-1].body.encode() if old else self.body_of(delivery)
        attempt = await self._post(delivery, "replay" if old else "resend", body)
        if self.accepts(attempt.status):
            delivery.state = "delivered"
        return attempt

    async def forge(self, delivery: AnyDelivery) -> Attempt:
        """What somebody else than the provider would send."""
        return await self._post(delivery, "forged", self.body_of(delivery))

    async def reset(self) -> None:
        await self._stop()
        self.deliveries.clear()
        self._last_accepted = None
        self.url = self._options.webhook_url
        self.enabled = bool(self.url)
        self.disabled_at = self.disabled_reason = None

    async def close(self) -> None:
        await self._stop()
        if self._session is not None:
            await self._session.close()

    async def _stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
