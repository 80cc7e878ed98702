"""Turns a payment screen that sells VPN access into its one command."""

from __future__ import annotations

from datetime import datetime

from contracts.access import BuyAccess
from contracts.ids import OrderId
from contracts.money import Credits
from gateway.domain.checkout import CREDITS, Checkout


def of(shown: Checkout, *, priced_at: datetime) -> BuyAccess:
    """The screen's id is the order's: however often this is sent, it is bought once."""
    price = shown.amount(CREDITS)
    assert price is not None, "access is paid out of the balance"
    return BuyAccess(
        order_id=OrderId(shown.checkout_id),
        user_id=shown.user_id,
        plan_id=shown.product_id,
        price_credits=Credits(price.amount_minor),
        priced_at=priced_at,
    )
