"""Currencies: how many digits a minor unit has, and amounts as providers write them."""

from __future__ import annotations

from decimal import Decimal

from billing.domain.errors import InvalidError

STARS_CURRENCY = "XTR"
EXPONENTS = {
    STARS_CURRENCY: 0,
    "USD": 2,
    "EUR": 2,
    "RUB": 2,
    "USDT": 6,
    "USDC": 6,
    "TON": 8,
    "BTC": 8,
    "ETH": 8,
    "LTC": 8,
    "BNB": 8,
    "TRX": 8,
}
MINOR_MAX = 10**15
"""No single payment is larger, in no currency; it keeps every sum inside a bigint."""


def exponent_of(currency: str) -> int:
    """Raises InvalidError for a currency the shop does not know."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise InvalidError(f"{currency[:10]} is no currency of the shop") from None


def to_minor(amount: str, currency: str) -> int:
    """Raises InvalidError for what is no amount, or is finer than the currency's minor unit."""
    try:
        value = Decimal(amount).scaleb(exponent_of(currency))
    except ArithmeticError:
        raise InvalidError("not an amount") from None
    if not value.is_finite() or not 0 <= value <= MINOR_MAX or value != value.to_integral_value():
        raise InvalidError(f"not an amount in {currency}")
    return int(value)


def to_text(amount_minor: int, currency: str) -> str:
    """The amount as a plain decimal number: 499 USD is `4.99`."""
    exponent = exponent_of(currency)
    return f"{Decimal(amount_minor).scaleb(-exponent):.{exponent}f}"
