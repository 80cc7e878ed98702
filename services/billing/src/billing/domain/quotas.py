"""Daily free quotas: how many free orders a person may have in one day of the shop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from billing.domain.errors import QuotaExceededError
from contracts.catalogue import Workflow
from contracts.ids import UserId


@dataclass(slots=True)
class Quota:
    """What one person used of one workflow's free orders, on the day it was last used."""

    user_id: UserId
    workflow_id: str
    day: date
    used: int = 0

    def used_on(self, day: date) -> int:
        return self.used if self.day == day else 0


def shop_day(now: datetime, zone: ZoneInfo) -> date:
    return now.astimezone(zone).date()


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The shop's midnight: where 'today' begins for money."""
    return datetime.combine(day, time(), tzinfo=zone)


def daily_limit(workflow: Workflow, tier: str) -> int | None:
    """How many free orders a day this tier has; None: no limit."""
    if not workflow.free_per_day or tier in workflow.unlimited_tiers:
        return None
    return workflow.free_per_day


def left_today(workflow: Workflow, tier: str, used: int) -> int | None:
    limit = daily_limit(workflow, tier)
    return None if limit is None else max(limit - used, 0)


def check(quota: Quota, workflow: Workflow, tier: str, day: date) -> None:
    """Raises QuotaExceededError when the day's free orders are used up."""
    limit = daily_limit(workflow, tier)
    if limit is not None and quota.used_on(_never_back(quota, day)) >= limit:
        raise QuotaExceededError(limit=limit)


def use(quota: Quota, day: date) -> date:
    """Count one free order and return the day it counts for.

    Unlimited tiers count too: they may lose the tier today.
    """
    day = _never_back(quota, day)
    quota.day, quota.used = day, quota.used_on(day) + 1
    return day


def give_back(quota: Quota, day: date) -> None:
    """A voided hold no longer counts; of a day gone by nothing is left to give back."""
    if quota.day == day:
        quota.used = max(quota.used - 1, 0)


def _never_back(quota: Quota, day: date) -> date:
    """Two replicas' clocks differ around midnight: a day that has begun does not end again."""
    return max(day, quota.day)
