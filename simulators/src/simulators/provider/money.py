"""Amounts as the API writes them: decimals in strings, never an exponent, never a float."""

from decimal import ROUND_UP, Decimal, InvalidOperation
from typing import Any

DIGITS_MAX = 18


def plain(amount: Decimal) -> str:
    """`1.50` and `1.5E+0` are both `1.5`."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def positive(value: Any) -> Decimal | None:
    """The amount, or None when it is not a positive number of at most 18 decimals."""
    if isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount <= 0:
        return None
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -DIGITS_MAX or amount >= Decimal(10) ** 18:
        return None
    return amount


def round_up(amount: Decimal, decimals: int) -> Decimal:
    """A payer never pays a fraction less than what was asked for."""
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_UP)
