"""How far the node's clock is from the control plane's, also long after they last spoke."""

from __future__ import annotations

import time
from datetime import datetime

from chassis.clock import Clock
from vpn.node_api import SKEW_MAX_SECONDS


class Skew:
    """Positive: the node's clock is ahead. Unknown counts as none: a lone node still expires."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._control: float | None = None
        self._heard_at = 0.0

    def hear(self, control_now: datetime) -> None:
        """Note the control plane's clock as it came with a request."""
        self._control = control_now.timestamp()
        self._heard_at = _steady()

    @property
    def seconds(self) -> float:
        # Against a clock nobody can set: a jump of the node's own clock shows as skew at once,
        # also while the control plane is away.
        if self._control is None:
            return 0.0
        expected = self._control + (_steady() - self._heard_at)
        return self._clock.now().timestamp() - expected

    @property
    def too_great(self) -> bool:
        return abs(self.seconds) > SKEW_MAX_SECONDS


def _steady() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
