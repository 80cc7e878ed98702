"""What operators' questions need: a search over everything billing recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from contracts.operators import Fact


class Search(Protocol):
    async def find(self, query: str, limit: int) -> Sequence[Fact]:
        """Facts about whatever has this id, in the order of time, at most `limit`."""
        ...
