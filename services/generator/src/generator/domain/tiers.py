"""Which durables a server pulls from, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from contracts.billing import LANE_PRIORITY, LANE_REGULAR
from contracts.topology import PRIORITY_BUSY, PRIORITY_IDLE, job_consumer


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask the stream for: durables best first, and how urgently."""

    tiers: tuple[str, ...]
    priority: int


def _tiers(pools: Sequence[str], turn: int, lanes: Sequence[str]) -> tuple[str, ...]:
    """Lane before pool; among the pools of one lane the first changes with every claim."""
    start = turn % len(pools)
    rotated = (*pools[start:], *pools[:start])
    return tuple(job_consumer(pool, lane) for lane in lanes for pool in rotated)


def idle(pools: Sequence[str], turn: int) -> Wish | None:
    return _wish(pools, turn, (LANE_PRIORITY, LANE_REGULAR), PRIORITY_IDLE)


def busy(pools: Sequence[str], turn: int) -> Wish | None:
    return _wish(pools, turn, (LANE_PRIORITY, LANE_REGULAR), PRIORITY_BUSY)


def priority_only(pools: Sequence[str], turn: int) -> Wish | None:
    return _wish(pools, turn, (LANE_PRIORITY,), PRIORITY_BUSY)


def _wish(pools: Sequence[str], turn: int, lanes: Sequence[str], priority: int) -> Wish | None:
    if not pools:
        return None
    return Wish(tiers=_tiers(pools, turn, lanes), priority=priority)
