"""What operators' questions need: a search over everything billing recorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from billing.domain.reconciliation import Ours
from billing.ports.payments import ProviderEvent
from contracts.operators import Fact


class Search(Protocol):
    async def find(self, query: str, limit: int) -> Sequence[Fact]:
        """Facts about whatever has this id, in the order of time, at most `limit`."""
        ...


class Ledgers(Protocol):
    """What a reconciliation compares."""

    async def charges(
        self, provider: str, since: datetime, until: datetime, charge_ids: Sequence[str]
    ) -> list[Ours]:
        """Those paid in [since, until), and those with such ids, whenever they were paid."""
        ...

    async def statement(
        self, provider: str, since: datetime
    ) -> tuple[list[ProviderEvent], datetime | None]:
        """What a provider that cannot be asked stated since, and when that was last read."""
        ...
