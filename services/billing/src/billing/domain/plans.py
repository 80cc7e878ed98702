"""Plans: how a bought tier adds to the one that runs, and what a refund takes of it again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.domain import tiers
from billing.domain.accounts import Account
from billing.domain.errors import PlanRefusedError
from contracts import errors
from contracts.billing import TIER_BLACK_GOLD, TIER_NONE, TIER_VIP
from contracts.payments import BuyPlan

RANKS = {TIER_NONE: 0, TIER_VIP: 1, TIER_BLACK_GOLD: 2}
WORTH = {TIER_VIP: 1, TIER_BLACK_GOLD: 3}
"""What a day of each is worth: days move between tiers by it, or VIP would buy Black Gold."""
NOTHING = timedelta(0)
CALENDAR_ENDS = 9_000
"""A tier until a year like 9999 was meant for good; adding days to it would overflow."""


@dataclass(frozen=True, slots=True)
class Extended:
    """A tier's days as one purchase gave them: [since, until], and the tier it replaced."""

    since: datetime
    until: datetime
    replaced: str


def is_for_good(account: Account, now: datetime) -> bool:
    """Whether days can be added no more: the tier has no end, or ends with the calendar."""
    if tiers.tier_of(account, now) == TIER_NONE:
        return False
    return account.tier_until is None or account.tier_until.year >= CALENDAR_ENDS


def check(account: Account, tier: str, now: datetime) -> None:
    """Whether days of `tier` may be bought now. Raises PlanRefusedError."""
    current = tiers.tier_of(account, now)
    if is_for_good(account, now):
        raise PlanRefusedError(code=errors.TIER_WITHOUT_END)
    if RANKS[current] > RANKS[tier]:
        raise PlanRefusedError(code=errors.HIGHER_TIER_ACTIVE)


def extend(
    account: Account,
    tier: str,
    span: timedelta,
    now: datetime,
    *,
    at_least: datetime | None = None,
) -> Extended:
    """Add days of a tier; what was left of a lower one is added, by its worth.

    Money that came for a lower tier than the one that runs adds to that one, by its worth too.
    Raises PlanRefusedError where the tier that runs has no end.
    """
    current = tiers.tier_of(account, now)
    if is_for_good(account, now):
        raise PlanRefusedError(code=errors.TIER_WITHOUT_END)
    higher = max(current, tier, key=RANKS.__getitem__)
    since = now
    if current != TIER_NONE and account.tier_until:
        since = now + converted(account.tier_until - now, current, higher)
    until = since + converted(span, tier, higher)
    if at_least is not None and tier == higher:
        until = max(until, at_least)
    replaced = current if higher != current else ""
    tiers.set_tier(account, higher, until, now)
    return Extended(since, until, replaced)


def take_back(account: Account, given: Extended, now: datetime) -> timedelta:
    """Take what is not used up yet of a purchase's days. Returns how much that was."""
    unused = given.until - max(now, given.since)
    if unused <= NOTHING or tiers.tier_of(account, now) == TIER_NONE or account.tier_until is None:
        return NOTHING
    unused = min(unused, account.tier_until - now)
    last = account.tier_until == given.until
    tier = given.replaced if last and given.replaced not in {"", TIER_NONE} else account.tier
    left = converted(account.tier_until - unused - now, account.tier, tier)
    until = now + left
    if until > now:
        tiers.set_tier(account, tier, until, now)
    else:
        tiers.set_tier(account, TIER_NONE, None, now)
    return unused


def converted(span: timedelta, tier: str, into: str) -> timedelta:
    """As many days of one tier as so many of another are worth."""
    if tier == into or TIER_NONE in (tier, into):
        return span
    return span * WORTH[tier] / WORTH[into]


def digest_of(command: BuyPlan) -> bytes:
    """What makes two commands the same purchase."""
    fields = f"{command.user_id}:{command.plan_id}:{command.price_credits}"
    return hashlib.blake2b(fields.encode(), digest_size=16).digest()
