"""The pace of the machines: learnt durations and servers seen, from which a wait is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

LEARNING_WEIGHT = 0.2
"""How much one new run moves the learnt duration: about the last ten runs count."""


class Pace:
    """What this process has seen of the generators. A guess for display, never for money."""

    def __init__(self, expected: Mapping[str, float], *, seen_within: timedelta) -> None:
        self._seconds = dict(expected)
        self._seen_within = seen_within
        self._servers: dict[str, dict[str, datetime]] = {}

    def started(self, pool: str, server: str, at: datetime) -> None:
        self._servers.setdefault(pool, {})[server] = at

    def finished(self, workflow_id: str, run_seconds: float) -> None:
        if run_seconds > 0:
            known = self._seconds.get(workflow_id, run_seconds)
            self._seconds[workflow_id] = known + LEARNING_WEIGHT * (run_seconds - known)

    def seconds_of(self, workflow_id: str) -> float:
        return self._seconds.get(workflow_id, 0.0)

    def servers(self, pool: str, now: datetime) -> int:
        """How many servers ran something of this pool lately; at least 1."""
        seen = self._servers.get(pool, {})
        for server in [name for name, at in seen.items() if now - at > self._seen_within]:
            del seen[server]
        return max(len(seen), 1)

    def eta_seconds(
        self, pool: str, ahead: Mapping[str, int], running: Mapping[str, int], now: datetime
    ) -> float:
        """The wait before a start: those ahead in full, those running by half, over the servers."""
        work = sum(self.seconds_of(name) * count for name, count in ahead.items())
        work += sum(self.seconds_of(name) * count / 2 for name, count in running.items())
        return work / self.servers(pool, now)
