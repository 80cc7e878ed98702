"""What the control plane needs of a node, whatever driver speaks to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from chassis.errors import TransientError
from vpn import node_api
from vpn.domain.desired import Entry


class NodeUnreachableError(TransientError):
    """Nobody answered in time, or not in a way that can be read."""


class NodeMalformedError(NodeUnreachableError):
    """It answered what cannot be meant: nothing of it is believed."""


class NodeRefusedError(Exception):
    """The node understood and said no; `code` as in node_api (`older_generation`, ...)."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        generation: int = 0,
        hash: str = "",  # noqa: A002 - the wire's own word
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.generation = generation
        self.hash = hash
        """What the node holds, where it said so."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """From one generation to another; refused (`other_base`) by a node that holds another base."""

    generation: int
    base_generation: int
    base_hash: str
    put: Sequence[Entry] = ()
    remove: Sequence[str] = ()
    cut: bool = True


class NodeDriver(Protocol):
    """One node. Every call has a timeout of its own, is made once, and raises the errors above."""

    async def state(self) -> node_api.State: ...

    async def put_set(
        self, generation: int, entries: Sequence[Entry], *, cut: bool = True
    ) -> node_api.Applied:
        """Make it hold exactly these; users that were never issued by us are not touched."""
        ...

    async def change(self, change: Change) -> node_api.Applied: ...

    async def users(self) -> node_api.Users | None:
        """What the core holds; None: it cannot be listed."""
        ...

    async def traffic(self, after: str = "") -> node_api.TrafficPage | None:
        """One page of counters by email; None: this driver does not count."""
        ...

    async def online(self) -> Mapping[str, int]:
        """Addresses in use by email; empty where nobody can tell."""
        ...

    async def close(self) -> None: ...
