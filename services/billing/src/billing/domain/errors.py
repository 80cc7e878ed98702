"""Billing's refusals, with what the person is told beside the code."""

from __future__ import annotations

from contracts import errors
from contracts.errors import RefusalError
from contracts.money import NO_CREDITS, Credits


class OrderRefusedError(RefusalError):
    """An order that will not be held; becomes `order_refused` with these figures."""

    def __init__(
        self,
        *,
        price_credits: Credits | None = None,
        available_credits: Credits | None = None,
        limit: int | None = None,
        debt_credits: Credits = NO_CREDITS,
    ) -> None:
        super().__init__()
        self.price_credits = price_credits
        self.available_credits = available_credits
        self.limit = limit
        self.debt_credits = debt_credits


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


class PromoUnknownError(RefusalError):
    code = errors.PROMO_UNKNOWN


class PromoNotYetError(RefusalError):
    code = errors.PROMO_NOT_YET


class PromoOverError(RefusalError):
    code = errors.PROMO_OVER


class PromoUsedUpError(RefusalError):
    code = errors.PROMO_USED_UP


class PromoUsedError(RefusalError):
    code = errors.PROMO_USED


class PromoNewcomersOnlyError(RefusalError):
    code = errors.PROMO_NEWCOMERS_ONLY


class PromoTooManyError(RefusalError):
    code = errors.PROMO_TOO_MANY


class GiftUnknownError(RefusalError):
    code = errors.GIFT_UNKNOWN


class GiftOverError(RefusalError):
    code = errors.GIFT_OVER


class GiftOwnError(RefusalError):
    code = errors.GIFT_OWN


class PaymentRefusedError(RefusalError):
    """No invoice, no credit or no refund will come of it; the code says why."""


class PlanRefusedError(RefusalError):
    """A plan that is not sold now; becomes `plan_refused` with the code."""


class AccessRefusedError(RefusalError):
    """Access that is not sold now; becomes `access_not_bought` with the code."""


class NeedsSecondPersonError(RefusalError):
    code = errors.NEEDS_SECOND_PERSON


class NotChargedError(RefusalError):
    """There is nothing to give back of this order."""

    code = errors.NOT_CHARGED


class AlreadyApprovedError(RefusalError):
    """A second person agreed before: it is done, once."""

    code = errors.ALREADY_APPROVED


class OvertakenError(RefusalError):
    """It was said before what stands now, and came after it."""

    code = errors.OVERTAKEN


class AlreadyRefundedError(RefusalError):
    code = errors.ALREADY_REFUNDED
