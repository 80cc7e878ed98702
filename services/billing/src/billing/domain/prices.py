"""Prices: what a workflow costs now, and whether the price a person was shown still holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.domain import discounts
from billing.domain.discounts import Discount
from billing.domain.errors import PriceChangedError, PriceExpiredError
from contracts.catalogue import Workflow
from contracts.money import Credits, discounted


@dataclass(frozen=True, slots=True)
class Offer:
    """What an order costs somebody now, and the discount that makes it cheaper, if one does."""

    price: Credits
    base: Credits
    discount: Discount | None = None

    @property
    def percent(self) -> int:
        return self.discount.percent if self.discount is not None else 0


def offer_of(workflow: Workflow, held: Iterable[Discount], now: datetime) -> Offer:
    """The price with the best of the discounts somebody holds; only one counts per order."""
    base = workflow.price_credits
    discount = discounts.best(held, base, now)
    if discount is None:
        return Offer(base, base)
    return Offer(discounted(base, discount.percent), base, discount)


def check_shown(
    shown_credits: Credits, shown_at: datetime, *, current: Credits, now: datetime, valid: timedelta
) -> None:
    """Raises PriceChangedError or PriceExpiredError, each with the price that holds now."""
    if shown_credits != current:
        raise PriceChangedError(price_credits=current)
    if now - shown_at > valid:
        raise PriceExpiredError(price_credits=current)
