"""A change that the disk would not take: its removals are in force all the same."""

from __future__ import annotations

import msgspec

from vpn.domain.desired import Difference


class Unsaved(msgspec.Struct, frozen=True):
    """Known to this life of the agent alone; it goes on trying to put it on disk.

    An agent that starts before it could lets the removed pass again, until the control plane, whom
    nobody confirmed anything, asks again: within seconds.
    """

    generation: int
    difference: Difference
    gone: frozenset[str]
    why: str

    def sentence(self) -> str:
        return (
            f"the set cannot be put on disk: {self.why}; {len(self.gone)} removed people are off"
            " the core, and would be back for moments after a restart; nobody is added"
        )
