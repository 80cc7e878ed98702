"""One circuit breaker per node: a node that does not answer is left alone, ever longer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """Times are seconds of any clock that only goes forward."""

    failures_max: int = 3
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    failures: int = 0
    open_until: float = 0.0

    def refuses(self, now: float) -> bool:
        """Whether a call is not even tried; once the time is up one call is let through."""
        return now < self.open_until

    def succeeded(self) -> None:
        self.failures = 0
        self.open_until = 0.0

    def failed(self, now: float) -> None:
        self.failures += 1
        if self.failures < self.failures_max:
            return
        doublings = min(self.failures - self.failures_max, 16)
        self.open_until = now + min(self.first_seconds * 2.0**doublings, self.longest_seconds)

    @property
    def open(self) -> bool:
        return self.failures >= self.failures_max
