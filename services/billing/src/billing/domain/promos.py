"""Promo codes: which can be saved, and who may redeem one now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.domain.errors import (
    InvalidError,
    PromoNewcomersOnlyError,
    PromoNotYetError,
    PromoOverError,
    PromoTooManyError,
    PromoUnknownError,
    PromoUsedError,
    PromoUsedUpError,
)
from billing.domain.reward_terms import PromoTerms
from contracts.billing import TIER_BLACK_GOLD, TIER_VIP
from contracts.money import PERCENT_MAX
from contracts.rewards import PROMO_CREDITS, PROMO_DISCOUNT, PROMO_TIER, SavePromo

CODE = re.compile(r"[A-Z0-9_-]{3,40}")
"""What fits into a start link after `promo_`."""
CREDITS_MOST = 100_000
DAYS_MAX = 3_650
USES_MOST = 1_000_000_000
VALUE_MAX = {PROMO_CREDITS: CREDITS_MOST, PROMO_DISCOUNT: PERCENT_MAX, PROMO_TIER: DAYS_MAX}


@dataclass(slots=True)
class Promo:
    """A code and what it gives; `used` counts how often, over all people."""

    code: str
    kind: str
    value: int
    tier: str = ""
    uses_max: int = 0
    used: int = 0
    newcomers_only: bool = False
    lot_days: int = 0
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def discount_key(self) -> str:
        return f"promo:{self.code}"

    def discount_until(self, now: datetime, terms: PromoTerms) -> datetime:
        end = now + terms.discount_valid
        return min(end, self.ends_at) if self.ends_at is not None else end

    def lot_expiry(self, now: datetime) -> datetime | None:
        return now + timedelta(days=self.lot_days) if self.lot_days else None


@dataclass(frozen=True, slots=True)
class Asker:
    """What must be known of whoever redeems a code."""

    used_it: bool
    has_paid: bool


def normal(code: str) -> str:
    """A code as it is kept: people type it in any case."""
    return code.strip().upper()


def is_code(code: str) -> bool:
    """Whether a promo code can be called so at all; what cannot be one is not looked up."""
    return CODE.fullmatch(code) is not None


def promo_of(command: SavePromo, before: Promo | None) -> Promo:
    """The promo a command describes. Raises InvalidError, naming the field."""
    code = normal(command.code)
    _check(is_code(code), "code")
    _check(command.kind in VALUE_MAX, "kind")
    _check(1 <= command.value <= VALUE_MAX[command.kind], "value")
    allowed = (TIER_VIP, TIER_BLACK_GOLD) if command.kind == PROMO_TIER else ("",)
    _check(command.tier in allowed, "tier")
    used = before.used if before is not None else 0
    _check(command.uses_max == 0 or used <= command.uses_max <= USES_MOST, "uses_max")
    _check(0 <= command.lot_days <= DAYS_MAX, "lot_days")
    for moment in (command.starts_at, command.ends_at):
        _check(moment is None or moment.tzinfo is not None, "time zone")
    if command.starts_at is not None and command.ends_at is not None:
        _check(command.starts_at < command.ends_at, "ends_at")
    return Promo(
        code,
        command.kind,
        command.value,
        command.tier,
        command.uses_max,
        used,
        command.newcomers_only,
        command.lot_days,
        command.starts_at,
        command.ends_at,
    )


def check(promo: Promo | None, asker: Asker, now: datetime) -> Promo:
    """The code, if this person may redeem it now; else raises what says why not."""
    if promo is None:
        raise PromoUnknownError
    if promo.starts_at is not None and now < promo.starts_at:
        raise PromoNotYetError
    # Before its end and its limit: whoever has had it is told so, whatever became of the code.
    if asker.used_it:
        raise PromoUsedError
    if promo.ends_at is not None and now >= promo.ends_at:
        raise PromoOverError
    if promo.uses_max and promo.used >= promo.uses_max:
        raise PromoUsedUpError
    if promo.newcomers_only and asker.has_paid:
        raise PromoNewcomersOnlyError
    return promo


def check_guesses(misses: Sequence[datetime], now: datetime, terms: PromoTerms) -> None:
    """Raises PromoTooManyError for whoever tried too many unknown codes a short while ago."""
    if len(recent(misses, now, terms)) >= terms.wrong_max:
        raise PromoTooManyError


def recent(misses: Sequence[datetime], now: datetime, terms: PromoTerms) -> list[datetime]:
    return [at for at in misses if at > now - terms.wrong_within]


def _check(holds: bool, name: str) -> None:
    if not holds:
        raise InvalidError(name)
