"""Discounts: which of a person's counts for an order, and when it comes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from contracts.ids import OrderId, UserId
from contracts.money import Credits, discounted


@dataclass(slots=True)
class Discount:
    """Percent off the next order; `key` names what gave it: `draw:<day>` or `promo:<CODE>`."""

    user_id: UserId
    key: str
    percent: int
    valid_until: datetime
    order_id: OrderId | None = None
    """The order that used it; none again once that order was refunded."""

    def is_usable(self, now: datetime) -> bool:
        return self.order_id is None and self.valid_until > now


def best(discounts: Iterable[Discount], price: Credits, now: datetime) -> Discount | None:
    """The discount an order of this price uses: the highest, and of equals the one ending first.

    None where nothing would become cheaper: a free order never uses one up, nor does a price so
    low that rounding up eats the discount.
    """
    usable = (each for each in discounts if each.is_usable(now))
    found = min(usable, key=_rank, default=None)
    return found if found is not None and discounted(price, found.percent) < price else None


def _rank(discount: Discount) -> tuple[int, datetime, str]:
    return -discount.percent, discount.valid_until, discount.key
