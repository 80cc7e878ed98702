"""When a busy server may pull the next job: late enough not to take work from an idle one."""

from __future__ import annotations

FRACTION_TRUSTED = 0.05
"""Below this, elapsed / fraction extrapolates noise."""


def remaining_seconds(elapsed: float, fraction: float, expected: float) -> float:
    """How long a run still takes: by the clock at first, by its own progress towards the end."""
    by_clock = max(expected - elapsed, 0.0)
    if fraction < FRACTION_TRUSTED:
        return by_clock
    by_progress = elapsed * (1 - fraction) / fraction
    return (1 - fraction) * by_clock + fraction * by_progress


def opens_in(elapsed: float, fraction: float, expected: float, window: float) -> float:
    """Seconds until the late window opens; 0: it is open."""
    return max(remaining_seconds(elapsed, fraction, expected) - window, 0.0)
