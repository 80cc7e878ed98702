"""All that time alone makes due: ends, grace, deletion, renewal, reminders."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.vpn import (
    CAUSE_DELETED,
    CAUSE_EXPIRED,
    STATE_ACTIVE,
    STATE_ENDED,
    STATE_GRACE,
    STATE_SUSPENDED,
)
from vpn.domain import reminders, renewals
from vpn.domain.access import Subscription
from vpn.domain.terms import GRACE_OBSERVE, GRACE_ON, Terms

AGAIN_AFTER_MIN = timedelta(seconds=30)
"""What cannot be done now although it is due is looked at again no sooner."""


@dataclass(slots=True)
class Care:
    """What was due: to be told, asked and recorded."""

    causes: list[str] = field(default_factory=list)
    renewal_attempt: int = 0
    """Ask billing, for the so-and-so-many-th time; 0: do not."""
    days_left: int | None = None
    """Remind the person; None: do not."""
    credits_short: bool = False
    grace_observed: bool = False
    """It would have had grace, if that were on."""

    def __bool__(self) -> bool:
        return bool(self.causes or self.renewal_attempt or self.credits_short) or (
            self.days_left is not None
        )


def care(one: Subscription, now: datetime, terms: Terms) -> Care:
    """Do to a subscription what is due by its own row. Again at the same moment: nothing."""
    found = Care()
    while cause := _advance(one, now, terms, found):
        found.causes.append(cause)
    at = renewals.next_at(one, now, terms)
    if at is not None and at <= now:
        found.renewal_attempt = renewals.begin(one, now, terms)
    if reminders.short_due(one, now, terms):
        one.short_told = found.credits_short = True
    found.days_left = reminders.due(one, now, terms)
    if found.days_left is not None:
        reminders.told(one, found.days_left)
    return found


def _advance(one: Subscription, now: datetime, terms: Terms, found: Care) -> str:
    """One step of the clock; empty: none is due."""
    if one.state == STATE_ACTIVE and now >= one.until:
        if terms.grace_policy == GRACE_OBSERVE and not one.trial:
            found.grace_observed = True
        if terms.grace_policy == GRACE_ON and not one.trial:
            one.state = STATE_GRACE
            one.grace_until = one.until + terms.grace
        else:
            one.state = STATE_SUSPENDED
            one.delete_at = one.until + terms.retention
        return CAUSE_EXPIRED
    if one.state == STATE_GRACE and now >= (one.grace_until or one.until):
        one.state = STATE_SUSPENDED
        one.delete_at = (one.grace_until or one.until) + terms.retention
        one.grace_until = None
        return CAUSE_EXPIRED
    if one.state == STATE_SUSPENDED and now >= (one.delete_at or one.until + terms.retention):
        one.state = STATE_ENDED
        one.key = one.link = one.delete_at = one.limit_bytes = None
        one.auto_renew = False
        one.used_bytes = one.traffic_told = 0
        return CAUSE_DELETED
    return ""


def next_due(one: Subscription, now: datetime, terms: Terms) -> datetime | None:
    """When to look at it again; None: never, unless something happens to it."""
    moments = {
        STATE_ACTIVE: one.until,
        STATE_GRACE: one.grace_until,
        STATE_SUSPENDED: one.delete_at,
    }
    candidates = [
        moments.get(one.state),
        renewals.next_at(one, now, terms),
        reminders.next_at(one, now, terms),
        reminders.short_next_at(one, now, terms),
    ]
    # What is due and cannot be done now must neither fire for ever nor hide what comes next.
    again = now + AGAIN_AFTER_MIN
    found = [again if each <= now else each for each in candidates if each is not None]
    return min(found) if found else None
