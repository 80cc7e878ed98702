"""One person's access: what a purchase, the clock or an operator makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from contracts.access import AccessPlan
from contracts.ids import OrderId, SubscriptionId, UserId
from contracts.vpn import STATE_ACTIVE, STATE_ENDED, STATE_GRACE, STATE_SUSPENDED
from vpn.domain import desired, plans
from vpn.domain.errors import InvalidError, NoSubscriptionError, StalePeriodError, TrialUsedError
from vpn.domain.terms import Terms

RUNNING = (STATE_ACTIVE, STATE_GRACE)
USED_MAX = 1 << 62
"""However often a node's counters rise and fall, one person's sum can be stored."""
_SECOND = timedelta(seconds=1)


class Credentials(NamedTuple):
    """What a node and an app know somebody by."""

    key: UUID
    link: str


@dataclass(slots=True)
class Subscription:
    """One row. The person's own choices (`reminders`, `time_zone`, `trial_used`) outlive it."""

    id: SubscriptionId
    user_id: UserId
    until: datetime
    state: str = STATE_ENDED
    plan: str = ""
    set_id: str = plans.EVERYWHERE
    key: UUID | None = None
    link: str | None = None
    grace_until: datetime | None = None
    delete_at: datetime | None = None
    trial: bool = False
    auto_renew: bool = False
    devices: int = 0
    limit_bytes: int | None = None
    """Of this period, with what was left of the one before; None: no limit."""
    used_bytes: int = 0
    traffic_told: int = 0
    """The last percentage the person was told about."""
    last_order: UUID | None = None
    """The order whose terms it runs on."""
    renew_for: datetime | None = None
    """The period's end that `renew_attempts` and `renew_next_at` are about."""
    renew_attempts: int = 0
    renew_next_at: datetime | None = None
    short_for: datetime | None = None
    """The period that could not be renewed for want of credits."""
    short_told: bool = False
    reminded_for: datetime | None = None
    reminded_left: int = 0
    devices_over_since: datetime | None = None
    devices_told_at: datetime | None = None
    version: int = 0
    due_at: datetime | None = None
    """When the next thing is due; the timer and the sweep go by it."""
    timer_version: int = 0
    trial_used: bool = False
    reminders: bool = True
    time_zone: str = ""

    @property
    def email(self) -> str:
        return str(self.id)

    @property
    def spent(self) -> bool:
        return self.limit_bytes is not None and self.used_bytes >= self.limit_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What an order bought: days, days until a moment (old senders), or traffic."""

    order_id: OrderId
    days: int = 0
    until: datetime | None = None
    traffic_bytes: int = 0
    trial: bool = False
    renews: datetime | None = None
    chosen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an order changed, so that it can be taken back."""

    order_id: OrderId
    plan: str
    until: datetime
    span: timedelta = timedelta(0)
    traffic_bytes: int = 0
    plan_before: str = ""
    limit_before: int | None = None
    """What was left of the traffic before; None: no limit."""
    order_before: UUID | None = None
    trial_before: bool = False
    chosen_at: datetime | None = None
    """When it was chosen; None: by an order of before this was kept, so earlier than any other."""


def whole(moment: datetime) -> datetime:
    """Up to the second: what nodes are told and what a renewal's order id is made from."""
    return moment if not moment.microsecond else moment.replace(microsecond=0) + _SECOND


def lasts(one: Subscription, now: datetime) -> bool:
    """Whether it runs, or would but for the traffic that is used up before its days are."""
    used_up = one.state == STATE_SUSPENDED and one.spent and now < one.until
    return one.state in RUNNING or used_up


def has(one: Subscription, set_id: str, now: datetime) -> bool:
    """Whether somebody has access to the nodes of a set already."""
    return one.set_id == set_id and lasts(one, now)


def give(
    one: Subscription,
    bought: Purchase,
    plan: AccessPlan,
    terms: Terms,
    now: datetime,
    fresh: Credentials,
    *,
    late: bool = False,
) -> Given:
    """Add what was bought to what is left. `fresh` is used where it has no key any more.

    `late`: what it runs on was chosen after this (domain.purchases): this adds to it and sets
    nothing.
    """
    if bought.traffic_bytes:
        return _add_traffic(one, bought, plan, now)
    if bought.trial and one.trial_used:
        raise TrialUsedError
    if bought.renews is not None and (one.state == STATE_ENDED or bought.renews != one.until):
        raise StalePeriodError
    starts = now if one.state == STATE_ENDED else max(now, one.until)
    until = _end_of(bought, plan, terms, starts)
    left = _traffic_left(one)
    given = Given(
        order_id=bought.order_id,
        plan=plan.id,
        until=until,
        span=until - starts,
        traffic_bytes=plans.traffic_of(plan) or 0,
        plan_before=one.plan,
        limit_before=left,
        order_before=one.last_order,
        trial_before=one.trial,
        chosen_at=bought.chosen_at,
    )
    if late:
        _add_late(one, given, terms)
        return given
    if one.key is None:
        one.key, one.link = fresh
    if not one.plan:
        one.auto_renew = terms.auto_renew_at_first
    included = plans.traffic_of(plan)
    one.limit_bytes = None if included is None else included + (left or 0)
    one.used_bytes = one.traffic_told = 0
    apply_plan(one, plan)
    one.trial = bought.trial
    one.trial_used = True
    one.last_order = bought.order_id
    _run_until(one, until)
    return given


def _add_late(one: Subscription, given: Given, terms: Terms) -> None:
    """The days, and the traffic where it is counted; whoever has none left stays off the nodes.

    A late plan without a limit takes nothing of what is left, as it would have done in time.
    """
    if one.limit_bytes is not None and given.traffic_bytes:
        _more_traffic(one, given.traffic_bytes)
    spent = one.state == STATE_SUSPENDED and one.spent
    _run_until(one, given.until)
    if spent:
        _suspend(one, terms)


def _more_traffic(one: Subscription, traffic_bytes: int) -> None:
    """Counted a little late, more may have passed than there was: what is added is whole."""
    limit = one.limit_bytes or 0
    one.limit_bytes = max(limit, one.used_bytes) + traffic_bytes
    one.traffic_told = 0


def _end_of(bought: Purchase, plan: AccessPlan, terms: Terms, starts: datetime) -> datetime:
    if bought.until is not None and not bought.days:
        return whole(max(starts, bought.until))
    days = bought.days or plan.days
    if not 1 <= days <= plans.DAYS_MAX:
        raise InvalidError("a purchase gives days or traffic")
    return whole(starts + days * terms.day)


def _traffic_left(one: Subscription) -> int | None:
    """None: there was no limit."""
    if one.state == STATE_ENDED:
        return 0
    return None if one.limit_bytes is None else max(one.limit_bytes - one.used_bytes, 0)


def _add_traffic(one: Subscription, bought: Purchase, plan: AccessPlan, now: datetime) -> Given:
    if one.state == STATE_ENDED or now >= one.until:
        raise NoSubscriptionError
    if one.limit_bytes is None:
        raise InvalidError("there is no limit to add to")
    given = Given(
        order_id=bought.order_id,
        plan=plan.id,
        until=one.until,
        traffic_bytes=bought.traffic_bytes,
        plan_before=one.plan,
        limit_before=_traffic_left(one),
        order_before=one.last_order,
        trial_before=one.trial,
        chosen_at=bought.chosen_at,
    )
    _more_traffic(one, bought.traffic_bytes)
    if one.state == STATE_SUSPENDED:
        _run_until(one, one.until)
    return given


def apply_plan(one: Subscription, plan: AccessPlan) -> bool:
    """Give it the plan's terms, but for traffic, which is a period's; return whether it changed."""
    set_id = plans.set_of(plan.regions)
    changed = (one.plan, one.set_id, one.devices) != (plan.id, set_id, plan.devices)
    if one.devices != plan.devices:
        one.devices_over_since = None
    one.plan, one.set_id, one.devices = plan.id, set_id, plan.devices
    return changed


def _run_until(one: Subscription, until: datetime) -> None:
    one.until = until
    one.state = STATE_ACTIVE
    one.grace_until = one.delete_at = None


def extend(one: Subscription, days: int, terms: Terms, now: datetime) -> None:
    """Give days; whoever has used up their traffic gets the days and stays off the nodes."""
    until = whole(max(now, one.until) + days * terms.day)
    spent = one.state == STATE_SUSPENDED and one.spent
    _run_until(one, until)
    if spent:
        _suspend(one, terms)


def take_back(
    one: Subscription,
    given: Given,
    before: AccessPlan | None,
    terms: Terms,
    now: datetime,
    *,
    refunded: bool = False,
) -> None:
    """Undo an order. `before`: the plan it replaced, if that is still known.

    `refunded`: it was paid and the money given back. What is left would often be due for renewal
    at once: nobody is charged again by itself for what they just had refunded.
    """
    if one.state == STATE_ENDED:
        return
    if given.span and refunded:
        one.auto_renew = False
    if given.span:
        # A second is left: a period's end names the order that renews it, once and for all, and
        # the end of long ago may have named one.
        one.until = whole(one.until - given.span + _SECOND)
    if given.span and one.last_order == given.order_id:
        one.limit_bytes = given.limit_before
        one.trial = given.trial_before
        one.last_order = given.order_before
        if before is not None:
            apply_plan(one, before)
    elif one.limit_bytes is not None:
        one.limit_bytes = max(one.limit_bytes - given.traffic_bytes, 0)
    if one.until <= now:
        one.until = whole(now)
        one.auto_renew = False
        _suspend(one, terms)
    elif one.spent and one.state in RUNNING:
        _suspend(one, terms)


def _suspend(one: Subscription, terms: Terms) -> None:
    one.state = STATE_SUSPENDED
    one.delete_at = (one.grace_until or one.until) + terms.retention
    one.grace_until = None


def rotate(one: Subscription, fresh: Credentials, *, link_too: bool) -> UUID:
    """Replace the key and return the old one, which nodes must refuse from now on."""
    if one.key is None:
        raise NoSubscriptionError
    old, one.key = one.key, fresh.key
    if link_too:
        one.link = fresh.link
    return old


def use_traffic(one: Subscription, used_bytes: int, terms: Terms) -> int:
    """Count traffic; return the percentage to tell the person about, or 0.

    At the limit it is suspended: its nodes are told in the same transaction.
    """
    one.used_bytes = min(one.used_bytes + used_bytes, USED_MAX)
    if one.limit_bytes is None or one.state not in RUNNING:
        return 0
    percent = one.used_bytes * 100 // one.limit_bytes if one.limit_bytes else 100
    if percent >= 100:  # noqa: PLR2004 - per cent
        _suspend(one, terms)
        one.traffic_told = 100
        return 100
    if percent >= terms.traffic_notice_percent > one.traffic_told:
        one.traffic_told = terms.traffic_notice_percent
        return percent
    return 0


def count_devices(one: Subscription, online: int, terms: Terms, now: datetime) -> bool:
    """Note how many devices use it now; return whether the person should be told.

    A soft limit: told after the grace for changing networks, at most once in a while.
    """
    if not one.devices or online <= one.devices:
        one.devices_over_since = None
        return False
    one.devices_over_since = one.devices_over_since or now
    if now - one.devices_over_since < terms.devices_grace:
        return False
    told = one.devices_told_at
    if told is not None and now - told < terms.devices_notice_every:
        return False
    one.devices_told_at = now
    return True


def entry_of(one: Subscription, terms: Terms) -> desired.Entry | None:
    """What its nodes should hold. With grace, nodes must not end it sooner than the grace does."""
    if one.state not in RUNNING or one.key is None:
        return None
    ends = one.grace_until or one.until + (timedelta(0) if one.trial else terms.grace_given)
    return desired.entry(one.email, one.key, whole(ends), terms.flow)
