"""What the handlers need of storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chassis.database import Connection
from scheduler.domain.timers import Change


class Timers(Protocol):
    """Timers by key; a version not above the recorded one changes nothing."""

    async def change(self, connection: Connection, changes: Sequence[Change]) -> int:
        """Arm, replace and cancel: one change per key, sorted by key. Return how many did.

        A cancel of the armed version itself wins over it.
        """
        ...
