"""Plans: how a bought tier adds to the one that runs, and what a refund takes of it again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.domain import tiers
from billing.domain.accounts import Account, TierStep
from billing.domain.errors import PlanRefusedError
from contracts import errors
from contracts.billing import TIER_BLACK_GOLD, TIER_NONE, TIER_VIP
from contracts.payments import BuyPlan

RANKS = {TIER_NONE: 0, TIER_VIP: 1, TIER_BLACK_GOLD: 2}
WORTH = {TIER_VIP: 1, TIER_BLACK_GOLD: 3}
"""What a day of each is worth: days move between tiers by it, or VIP would buy Black Gold."""
NOTHING = timedelta(0)
SHORTEST = timedelta(seconds=1)
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
    account.steps.append(TierStep(account.tier_version, tier, now, span, at_least, since, until))
    return Extended(since, until, replaced)


def put(account: Account, tier: str, until: datetime | None, now: datetime) -> None:
    """Set a tier outright, whatever ran before. Raises InvalidError as `tiers.set_tier` does."""
    tiers.set_tier(account, tier, until, now)
    _note_as_it_is(account, now)


def derived(account: Account, now: datetime) -> tuple[str, datetime | None]:
    """The tier that follows from the steps that count, as if the others had never been."""
    found = Account(account.user_id)
    for step in account.steps:
        if step.withdrawn:
            continue
        if step.span is None:
            found.tier, found.tier_until = step.tier, step.until
        elif not is_for_good(found, step.given_at):
            extend(found, step.tier, step.span, step.given_at, at_least=step.at_least)
    tier = tiers.tier_of(found, now)
    return tier, found.tier_until if tier != TIER_NONE else None


def take_back(account: Account, given: Extended, now: datetime) -> timedelta:
    """Take a purchase's days: what is left is what the others would have given without it.

    Returns how much that took, in days of the tier that ran.
    """
    before, until = tiers.tier_of(account, now), account.tier_until
    step = _step_of(account, given)
    if step is None:
        taken = _take_unused(account, given, now)
        if taken:
            _note_as_it_is(account, now)
        return taken
    step.withdrawn = True
    tier, left_until = derived(account, now)
    if before == TIER_NONE or (tier, left_until) == (before, until):
        return NOTHING
    tiers.set_tier(account, tier, left_until, now)
    if until is None or (tier != TIER_NONE and left_until is None):
        return NOTHING
    left = converted(left_until - now, tier, before) if left_until is not None else NOTHING
    # A day of a lower tier costs less: more of it may be left. What is taken is never nothing,
    # or a refund that is refused could not bring the higher tier back.
    return max(until - now - left, SHORTEST)


def _step_of(account: Account, given: Extended) -> TierStep | None:
    """None: it was given before steps were kept."""
    found = [
        each
        for each in account.steps
        if (each.since, each.until) == (given.since, given.until)
        and each.span is not None
        and not each.withdrawn
    ]
    return found[-1] if found else None


def _note_as_it_is(account: Account, now: datetime) -> None:
    """From here on the tier is what it is now, whatever led to it."""
    version, tier, until = account.tier_version, account.tier, account.tier_until
    account.steps.append(TierStep(version, tier, now, None, None, now, until))


def _take_unused(account: Account, given: Extended, now: datetime) -> timedelta:
    """What is not used up yet of it, as far as that can be told without its step."""
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
