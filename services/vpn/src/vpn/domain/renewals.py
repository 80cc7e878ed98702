"""Renewal by credits: when to ask billing, how often, and what a refusal means."""

from __future__ import annotations

from datetime import datetime

from contracts import errors
from contracts.ids import OrderId, renewal_order_ids
from vpn.domain.access import Subscription, lasts
from vpn.domain.terms import Terms

FINAL = frozenset(
    {
        errors.UNKNOWN_PRODUCT,
        errors.STALE_PERIOD,
        errors.NO_SUBSCRIPTION,
        errors.NO_ACCOUNT,
        errors.INVALID,
        errors.SAME_ID_OTHER_BODY,
    }
)
"""What would only be refused again; anything else time or a top-up may mend."""
WAIT_SHARE = 4
"""After an order nobody answered it waits for at most one part in so many of what is left."""


def next_at(one: Subscription, now: datetime, terms: Terms) -> datetime | None:
    """When billing is asked next for the period after this one; None: not at all."""
    if not one.auto_renew or one.trial or not lasts(one, now):
        return None
    if one.renew_for != one.until:
        return one.until - terms.renew_before
    if one.renew_attempts >= terms.renew_attempts_max:
        return None
    # Who has used up their traffic is renewed until their days end, and not after.
    over = one.renew_next_at is not None and not lasts(one, one.renew_next_at)
    return None if over else one.renew_next_at


def begin(one: Subscription, now: datetime, terms: Terms) -> int:
    """Count an attempt and return its number, from 1."""
    if one.renew_for != one.until:
        one.renew_for = one.until
        one.renew_attempts = 0
    one.renew_attempts += 1
    one.renew_next_at = now + terms.renew_spacing
    return one.renew_attempts


def credited(one: Subscription, now: datetime, terms: Terms) -> bool:
    """Money came: whoever lacked credits for the next period is tried once more, at once."""
    if one.short_for != one.until or one.renew_for != one.until:
        return False
    if not one.auto_renew or one.trial or not lasts(one, now):
        return False
    one.renew_attempts = min(one.renew_attempts, terms.renew_attempts_max - 1)
    one.renew_next_at = now
    return True


def voided(one: Subscription, order_id: OrderId, code: str, now: datetime, terms: Terms) -> bool:
    """Note that an order of the coming period ended with nobody charged; False: of another.

    Attempts made while its hold was open asked for nothing new: the one that counts is followed
    by another, spaced as ever but for the last hours, when a hold is short and time too. billing
    bounds how many orders a period may have.
    """
    period_end = one.renew_for
    if period_end is None or order_id not in renewal_order_ids(one.id, period_end):
        return False
    refused(one, period_end, code, terms)
    if code == errors.HOLD_EXPIRED and one.until == period_end:
        one.renew_attempts = min(one.renew_attempts, terms.renew_attempts_max - 1)
        soon = now + (period_end - now) / WAIT_SHARE
        one.renew_next_at = max(now, min(one.renew_next_at or now, soon))
    return True


def refused(one: Subscription, period_end: datetime, code: str, terms: Terms) -> bool:
    """Note billing's no; return whether it was for want of credits. Of another period: nothing."""
    if one.until != period_end or one.renew_for != period_end:
        return False
    if code in FINAL:
        one.renew_attempts = terms.renew_attempts_max
    if code != errors.INSUFFICIENT_CREDITS:
        return False
    if one.short_for != period_end:
        one.short_for, one.short_told = period_end, False
    return True
