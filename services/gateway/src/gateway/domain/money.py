"""Amounts of money as people read them; the shop itself counts minor units only."""

from __future__ import annotations

from collections.abc import Mapping

STARS_CURRENCY = "XTR"
_STAR = "⭐"
_EXPONENTS: Mapping[str, int] = {
    STARS_CURRENCY: 0,
    "USDT": 6,
    "USDC": 6,
    "TON": 8,
    "BTC": 8,
    "ETH": 8,
    "LTC": 8,
    "BNB": 8,
    "TRX": 8,
}
_CENTS = 2


def money(amount_minor: int, currency: str, exponent: int | None = None) -> str:
    """Such as "⭐ 100" or "1.50 USD"; a whole part is never cut, zeros behind it may be."""
    if currency == STARS_CURRENCY:
        return f"{_STAR} {amount_minor}"
    digits = _EXPONENTS.get(currency, _CENTS) if exponent is None else exponent
    sign = "−" if amount_minor < 0 else ""
    whole, rest = divmod(abs(amount_minor), 10**digits)
    behind = f"{rest:0{digits}d}" if digits else ""
    # Coins have many digits that say nothing; cents are always two.
    shown = behind if digits <= _CENTS else behind.rstrip("0").ljust(_CENTS, "0")
    return f"{sign}{whole}{'.' if shown else ''}{shown} {currency}"
