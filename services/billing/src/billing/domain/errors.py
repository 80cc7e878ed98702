"""Billing's refusals, with what the person is told beside the code."""

from __future__ import annotations

from contracts import errors
from contracts.errors import RefusalError


class OrderRefusedError(RefusalError):
    """An order that will not be held; becomes `order_refused` with these figures."""

    def __init__(
        self,
        *,
        price_credits: int | None = None,
        available_credits: int | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        self.price_credits = price_credits
        self.available_credits = available_credits
        self.limit = limit


class InsufficientCreditsError(OrderRefusedError):
    code = errors.INSUFFICIENT_CREDITS


class InDebtError(OrderRefusedError):
    code = errors.IN_DEBT


class PriceChangedError(OrderRefusedError):
    code = errors.PRICE_CHANGED


class PriceExpiredError(OrderRefusedError):
    code = errors.PRICE_EXPIRED


class InFlightCapError(OrderRefusedError):
    code = errors.IN_FLIGHT_CAP


class QuotaExceededError(OrderRefusedError):
    code = errors.QUOTA_EXCEEDED


class QueueFullError(OrderRefusedError):
    code = errors.QUEUE_FULL


class UnknownWorkflowError(OrderRefusedError):
    code = errors.UNKNOWN_WORKFLOW


class NoAccountError(OrderRefusedError):
    code = errors.NO_ACCOUNT


class InvalidError(RefusalError):
    code = errors.INVALID


class SameIdOtherBodyError(RefusalError):
    code = errors.SAME_ID_OTHER_BODY


class AlreadyGrantedError(RefusalError):
    code = errors.ALREADY_GRANTED


class UnknownOrderError(RefusalError):
    code = errors.UNKNOWN_ORDER


class NotYoursError(RefusalError):
    code = errors.NOT_YOURS


class AlreadyFinishedError(RefusalError):
    code = errors.ALREADY_FINISHED
