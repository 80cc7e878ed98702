"""The life of one payment screen: at most one payment, whatever is tapped and in whatever order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from contracts.access import PRODUCT_ACCESS
from contracts.ids import OrderId, PaymentId, UserId
from contracts.money import NO_CREDITS, Credits

CREDITS = "credits"
"""The method that pays a plan out of the balance; every other one is a provider's name."""

OFFERED = "offered"
ASKED = "asked"
"""The command is on its way to billing."""
OPEN = "open"
"""It can be paid."""
PAID = "paid"
FAILED = "failed"
DROPPED = "dropped"

_FROM: Mapping[str, frozenset[str]] = {
    ASKED: frozenset({OFFERED}),
    OPEN: frozenset({ASKED}),
    FAILED: frozenset({ASKED, OPEN}),
    DROPPED: frozenset({OFFERED, ASKED, OPEN}),
    # Money that comes for a closed invoice counts all the same.
    PAID: frozenset({ASKED, OPEN, FAILED, DROPPED}),
}


class Amount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one way of paying asks, as the screen showed it."""

    method: str
    currency: str
    amount_minor: int
    exponent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What the person was offered for money or credits, and how far its payment has come."""

    checkout_id: PaymentId
    user_id: UserId
    product: str
    product_id: str
    credits: Credits = NO_CREDITS
    bonus_credits: Credits = NO_CREDITS
    tier: str = ""
    amounts: tuple[Amount, ...]
    priced_at: datetime
    order_id: OrderId | None = None
    method: str = ""
    state: str = OFFERED

    def amount(self, method: str) -> Amount | None:
        return next((each for each in self.amounts if each.method == method), None)


def may_go_on(shown: Checkout) -> bool:
    """Whether VPN access that credits were missing for can still be bought by its screen."""
    return shown.product == PRODUCT_ACCESS and shown.state in {OFFERED, FAILED}


def may_become(state: str, wanted: str) -> bool:
    return state in _FROM[wanted]
