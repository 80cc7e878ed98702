"""How often somebody may ask: token buckets in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, then `per_second`."""

    per_second: float
    burst: int


BURST_SECONDS = 10.0


def per_address(per_second: float) -> Rate:
    """What one address may ask for: ten seconds' worth at once."""
    return Rate(per_second, burst=max(1, round(per_second * BURST_SECONDS)))


class Recent:
    """What was so a moment ago, in bounded memory: the oldest is forgotten first."""

    def __init__(self, seconds: float, *, keys_max: int) -> None:
        self._seconds = seconds
        self._keys_max = keys_max
        self._kept: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, key: Hashable, now: float) -> None:
        self._kept[key] = now + self._seconds
        self._kept.move_to_end(key)
        while len(self._kept) > self._keys_max:
            self._kept.popitem(last=False)

    def holds(self, key: Hashable, now: float) -> bool:
        return self._kept.get(key, now) > now


class Buckets:
    """A bucket per key, the least recently used forgotten first: it would be nearly full again."""

    def __init__(self, rate: Rate, *, keys_max: int) -> None:
        self._rate = rate
        self._keys_max = keys_max
        self._kept: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def wait_seconds(self, key: Hashable, now: float) -> float:
        """How long until one more fits; 0: now. Takes nothing."""
        return max(0.0, 1.0 - self._level(key, now)) / self._rate.per_second

    def take(self, key: Hashable, now: float) -> float:
        """Take one if it fits; else say how many seconds to wait."""
        level = self._level(key, now)
        wait = max(0.0, 1.0 - level) / self._rate.per_second
        self._kept[key] = (level if wait else level - 1.0, now)
        self._kept.move_to_end(key)
        while len(self._kept) > self._keys_max:
            self._kept.popitem(last=False)
        return wait

    def forget(self, key: Hashable) -> None:
        self._kept.pop(key, None)

    def _level(self, key: Hashable, now: float) -> float:
        level, at = self._kept.get(key, (float(self._rate.burst), now))
        return min(float(self._rate.burst), level + max(0.0, now - at) * self._rate.per_second)
