"""Money inside Vitrine: whole credits, never fractions, never floats."""

from __future__ import annotations

from typing import NewType

Credits = NewType("Credits", int)
"""A whole number of credits; the smallest unit the shop knows."""
NO_CREDITS = Credits(0)

CREDITS_MAX = 1_000_000_000
"""No single amount, price or balance may exceed this; it keeps every sum inside a bigint."""

PERCENT_MAX = 100


def discounted(price: Credits, percent: int) -> Credits:
    """The price after a discount of `percent` (0-100), rounded up to a whole credit.

    Raises ValueError outside that range: a discount is data and may be mistyped.
    """
    if not 0 <= percent <= PERCENT_MAX:
        raise ValueError(f"a discount is 0-100 percent, not {percent}")
    return Credits(-(-price * (PERCENT_MAX - percent) // PERCENT_MAX))
