"""What is counted on nodes: bytes, and addresses in use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

from chassis.database import Connection
from contracts.ids import UserId
from vpn.domain.terms import Terms


class Counted(NamedTuple):
    added: dict[UUID, int]
    fallen: int
    """By how many bytes counters fell, that never should: the node's disk was restored."""


class Traffic(Protocol):
    async def counted(
        self, connection: Connection, node: str, seen: Mapping[UUID, int], *, epoch: str
    ) -> Counted:
        """Record absolute counters of one node; say what each added since the last time."""
        ...

    async def connected(
        self, connection: Connection, node: str, addresses: Mapping[UUID, int], now: datetime
    ) -> None:
        """Replace what is known of who is connected to one node."""
        ...

    async def over_limit(
        self, connection: Connection, now: datetime, fresh: timedelta, terms: Terms
    ) -> dict[UserId, int]:
        """User id and devices of whoever goes over their limit, is back under it, or is to be told.

        At most `terms.rows_max`; `fresh`: a reading counts so long.
        """
        ...
