"""Prices: what a workflow costs now, and whether the price a person was shown still holds."""

from __future__ import annotations

from datetime import datetime, timedelta

from billing.domain.errors import PriceChangedError, PriceExpiredError
from contracts.catalogue import Workflow


def price_of(workflow: Workflow) -> int:
    return workflow.price_credits


def check_shown(
    shown_credits: int, shown_at: datetime, *, current: int, now: datetime, valid: timedelta
) -> None:
    """Raises PriceChangedError or PriceExpiredError, each with the price that holds now."""
    if shown_credits != current:
        raise PriceChangedError(price_credits=current)
    if now - shown_at > valid:
        raise PriceExpiredError(price_credits=current)
