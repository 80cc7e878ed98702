"""Tiers: who has one now, which lane it gives, and when a change of tier makes sense."""

from __future__ import annotations

from datetime import datetime

from billing.domain.accounts import Account
from billing.domain.errors import InvalidError
from contracts.billing import (
    LANE_PRIORITY,
    LANE_REGULAR,
    TIER_BLACK_GOLD,
    TIER_NONE,
    TIER_VIP,
)

TIERS = frozenset({TIER_NONE, TIER_VIP, TIER_BLACK_GOLD})


def tier_of(account: Account, now: datetime) -> str:
    """The tier that holds now: a past `until` needs no sweep to take effect."""
    if account.tier_until is not None and account.tier_until <= now:
        return TIER_NONE
    return account.tier


def lane_of(tier: str) -> str:
    return LANE_PRIORITY if tier == TIER_BLACK_GOLD else LANE_REGULAR


def check(tier: str, until: datetime | None, now: datetime) -> None:
    """Raises InvalidError for an unknown tier or an end that has passed."""
    if tier not in TIERS:
        raise InvalidError(f"no tier is called {tier[:20]}")
    if tier != TIER_NONE and until is not None and until <= now:
        raise InvalidError("the tier would have ended already")


def set_tier(account: Account, tier: str, until: datetime | None, now: datetime) -> None:
    """Raises InvalidError as `check` does."""
    check(tier, until, now)
    account.tier = tier
    account.tier_until = until if tier != TIER_NONE else None
    account.tier_version += 1
