"""What operators give by hand is worth in credits, so that one limit holds for all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from contracts.billing import TIER_NONE, GrantCredits, SetTier
from contracts.payments import Plan
from contracts.rewards import PROMO_CREDITS, PROMO_TIER, SavePromo

NO_LIMIT = 2**53
"""More than any limit: given for good, to anybody, or of no known price."""
LOCAL = "cli:"
"""How billing's own command line names who uses it."""
ByHand = GrantCredits | SetTier | SavePromo


def person_of(name: str) -> str:
    """Who is meant: the same person may come by either command line, in any spelling."""
    return name.strip().casefold().removeprefix(LOCAL).strip()


def worth(command: ByHand, plans: Mapping[str, Plan], now: datetime) -> int:
    match command:
        case GrantCredits():
            return command.credits
        case SetTier():
            if command.tier == TIER_NONE:
                return 0
            if command.until is None:
                return NO_LIMIT
            return tier_worth(command.tier, command.until - now, plans)
        case SavePromo():
            return promo_worth(command, plans)


def tier_worth(tier: str, span: timedelta, plans: Mapping[str, Plan]) -> int:
    """What the days would cost for credits, by the dearest plan of this tier."""
    prices = [plan.price_credits / plan.days for plan in plans.values() if plan.tier == tier]
    if not any(prices):
        return NO_LIMIT
    return math.ceil(max(prices) * max(span / timedelta(days=1), 0))


def promo_worth(command: SavePromo, plans: Mapping[str, Plan]) -> int:
    """Of all its uses together. A discount gives nothing that was not paid for in part."""
    if command.kind == PROMO_CREDITS:
        once = command.value
    elif command.kind == PROMO_TIER:
        once = tier_worth(command.tier, timedelta(days=command.value), plans)
    else:
        return 0
    return once * command.uses_max if command.uses_max else NO_LIMIT
