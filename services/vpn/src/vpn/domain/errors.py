"""Why access is not given."""

from __future__ import annotations

from contracts import errors
from contracts.errors import RefusalError


class StalePeriodError(RefusalError):
    code = errors.STALE_PERIOD


class TrialUsedError(RefusalError):
    code = errors.TRIAL_USED


class NoSubscriptionError(RefusalError):
    code = errors.NO_SUBSCRIPTION


class NoNodesError(RefusalError):
    code = errors.NO_NODES


class UnknownPlanError(RefusalError):
    code = errors.UNKNOWN_PRODUCT


class InvalidError(RefusalError):
    code = errors.INVALID


class CancelledError(RefusalError):
    """The order was taken back before it was carried out."""

    code = errors.CANCELLED
