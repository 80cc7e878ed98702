"""The orders one person's access runs on, newest first: each knows what was before it.

Only orders of days are links of this chain, and only while they are not taken back. An order
that comes late is put where it belongs, so that whatever is refunded leaves what was before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from vpn.domain.access import Given, Purchase, Subscription


def is_late(bought: Purchase, last: Given | None, one: Subscription, now: datetime) -> bool:
    """Whether the plan it runs on was chosen after this one, and has days left to run on.

    A trial is no such plan: whoever pays is not left with its terms.
    """
    if last is None or one.last_order != last.order_id or one.trial or bought.traffic_bytes:
        return False
    return follows(last, bought.chosen_at) and now < one.until


def follows(later: Given, chosen_at: datetime | None) -> bool:
    if later.chosen_at is None or chosen_at is None:
        return False
    return later.chosen_at > chosen_at


def put_in(given: Given, later: Sequence[Given]) -> tuple[Given, list[Given]]:
    """A late order, and those chosen after it (newest first), as if it had come before them."""
    first = later[-1]
    limit = first.limit_before
    put = replace(
        given,
        plan_before=first.plan_before,
        limit_before=limit,
        order_before=first.order_before,
        trial_before=first.trial_before,
    )
    changed = [_with_more(each, given.traffic_bytes) for each in later]
    changed[-1] = replace(
        first,
        plan_before=given.plan,
        limit_before=(limit or 0) + given.traffic_bytes if given.traffic_bytes else None,
        order_before=given.order_id,
        trial_before=False,
    )
    return put, changed


def take_out(taken: Given, later: Sequence[Given]) -> list[Given]:
    """Those chosen after an order that is taken back (newest first), as if it never was."""
    changed = [_with_more(each, -taken.traffic_bytes) for each in later]
    counted = taken.traffic_bytes and taken.limit_before is not None
    changed[-1] = replace(
        changed[-1],
        plan_before=taken.plan_before,
        limit_before=changed[-1].limit_before if counted else taken.limit_before,
        order_before=taken.order_before,
        trial_before=taken.trial_before,
    )
    return changed


def _with_more(given: Given, traffic_bytes: int) -> Given:
    if given.limit_before is None:
        return given
    return replace(given, limit_before=max(given.limit_before + traffic_bytes, 0))
