"""What operators give: credits under a key, and tiers."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta

from chassis.clock import SystemClock, new_id
from contracts import billing
from contracts.ids import UserId
from contracts.money import Credits
from vitrine_tools import money

TIERS = (billing.TIER_NONE, billing.TIER_VIP, billing.TIER_BLACK_GOLD)


def add_grant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user_id", type=int)
    parser.add_argument("credits", type=int)
    parser.add_argument(
        "--lot", choices=(billing.LOT_BONUS, billing.LOT_PAID), default=billing.LOT_BONUS
    )
    parser.add_argument("--days", type=int, help="the credits expire after so many days")
    parser.add_argument("--key", help="names the reason once; without it every call adds again")


def add_tier(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user_id", type=int)
    parser.add_argument("tier", choices=TIERS)
    parser.add_argument("--days", type=int, help="it ends after so many days; without: never")


def grant(given: argparse.Namespace, who: str) -> money.Order:
    command = billing.GrantCredits(
        grant_key=given.key or f"operator:{new_id()}",
        user_id=UserId(given.user_id),
        credits=Credits(given.credits),
        reason=given.reason,
        actor=who,
        lot=given.lot,
        expires_at=_after(given.days),
    )
    return money.order_of(command)


def tier(given: argparse.Namespace, who: str) -> money.Order:
    command = billing.SetTier(
        user_id=UserId(given.user_id),
        tier=given.tier,
        reason=given.reason,
        actor=who,
        until=_after(given.days),
    )
    return money.order_of(command)


def _after(days: int | None) -> datetime | None:
    return SystemClock().now() + timedelta(days=days) if days is not None else None
