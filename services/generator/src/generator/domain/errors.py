"""How the generator's own steps fail; none of these travels."""

from __future__ import annotations

from generator.domain.failures import Failure


class AttemptFailedError(Exception):
    """The attempt is over; `failure` decides what comes next."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.kind}: {failure.detail}")
        self.failure = failure


class ServerUnreachableError(Exception):
    """ComfyUI did not answer. `refused`: nobody listens, so the process is gone."""

    def __init__(self, detail: str, *, refused: bool = False) -> None:
        super().__init__(detail)
        self.refused = refused


class ServerAnswerError(Exception):
    """ComfyUI answered with a status nothing is prepared for (a 500 above all)."""

    def __init__(self, status: int, where: str) -> None:
        super().__init__(f"{where} answered {status}")
        self.status = status


class NotHolderError(Exception):
    """The lease of this server is not held: nothing may be posted or deleted."""


class ClaimLostError(Exception):
    """Another pod owns the order's record now: settle nothing."""


class OrderCancelledError(Exception):
    """The order's cancel won: nothing of it runs any more."""


class HandBackError(Exception):
    """The job is proven never to have started here: somebody else may have it."""

    def __init__(self, reason: str, *, delay_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay_seconds = delay_seconds
