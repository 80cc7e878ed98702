"""Renewals under fire, and what follows an end that was not renewed: on a real Postgres."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from chassis.clock import new_id
from contracts import errors
from contracts.access import AccessNotBought, RenewAccess
from contracts.ids import renewal_order_id, renewal_order_ids
from contracts.payments import PaymentCredited
from contracts.vpn import (
    REMINDER_CREDITS_SHORT,
    AccessChanged,
    AccessGranted,
    AccessRefused,
    AccessReminded,
    CheckSubscription,
    RenewSubscriptions,
    RevokeAccess,
    SendReminders,
    SetAccessOptions,
    SweepSubscriptions,
)
from vpn.adapters.postgres_traffic import PostgresTraffic
from vpn.domain.plans import GIB
from vpn.handlers.count_traffic import count_traffic


async def renewing(counter, **later):
    """Somebody whose access ends in a day, and who wants it renewed."""
    await counter.grant()
    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True, reminders=False))
    await counter.later(**(later or {"days": 29, "seconds": 1}))
    return await counter.row()


async def spend(counter, amount):
    one = await counter.row()
    parts = {"books": counter.books, "traffic": PostgresTraffic(), "terms": counter.terms}
    await counter.run(count_traffic, "eu-1", {one.id: amount}, **parts)


def not_bought(order_id, code):
    return AccessNotBought(order_id=order_id, user_id=7, plan_id="vpn_30", code=code, renewal=True)


async def test_ticks_and_timers_of_many_replicas_at_once_ask_once(counter, find):
    row = await renewing(counter)
    fired = CheckSubscription(subscription_id=row.id, user_id=7)
    ticks = (SweepSubscriptions, RenewSubscriptions, SendReminders) * 3

    told = await asyncio.gather(
        *(counter.handle(tick(due_at=counter.now)) for tick in ticks),
        *(counter.handle(fired) for _ in range(3)),
    )

    asked = find(RenewAccess, [each for events in told for each in events])
    assert asked.order_id == renewal_order_id(row.id, row.until)
    assert (await counter.row()).renew_attempts == 1


async def test_a_top_up_that_meets_a_tick_asks_once(counter, find):
    row = await renewing(counter)
    asked = find(RenewAccess, await counter.check())
    short = not_bought(asked.order_id, errors.INSUFFICIENT_CREDITS)
    short = structs.replace(short, subscription_id=row.id, period_end=row.until)
    await counter.handle(short)
    credited = PaymentCredited(
        payment_id=new_id(),
        charge_id="c",
        user_id=7,
        provider="stars",
        product="pack",
        product_id="pack_300",
        credits=300,
        amount_minor=275,
        currency="XTR",
        available_credits=300,
    )

    told = await asyncio.gather(
        *(counter.handle(credited) for _ in range(2)),
        *(counter.handle(SweepSubscriptions(due_at=counter.now)) for _ in range(3)),
    )

    asked_again = [each for events in told for each in events if isinstance(each, RenewAccess)]
    assert {each.order_id for each in asked_again} == {asked.order_id}
    # The same payment told twice asks twice, of one order: the ledger holds once.
    assert len(asked_again) <= 2


async def test_who_used_up_their_traffic_is_renewed_and_passes_again(counter, find):
    row = await renewing(counter, days=28)
    await spend(counter, 100 * GIB)
    assert (await counter.row()).state == "suspended"
    await counter.later(days=1, seconds=1)

    asked = find(RenewAccess, await counter.check())
    find(AccessGranted, await counter.grant(order_id=asked.order_id, renews=asked.period_end))

    after = await counter.row()
    assert (after.state, after.until) == ("active", row.until + timedelta(days=30))
    assert (await counter.desired()).removed_for is None


async def test_drained_nodes_refuse_no_package_to_who_used_up_their_traffic(counter, find):
    await counter.grant()
    await spend(counter, 100 * GIB)
    await counter.execute("UPDATE nodes SET state = 'draining'")

    find(AccessGranted, await counter.grant("vpn_more", days=0, traffic_bytes=GIB))

    assert (await counter.row()).state == "active"


async def test_a_renewal_that_crosses_a_purchase_is_refused_and_gives_nothing(counter, find):
    row = await renewing(counter)
    asked = find(RenewAccess, await counter.check())
    await counter.grant()
    bought = (await counter.row()).until

    refused = find(
        AccessRefused, await counter.grant(order_id=asked.order_id, renews=asked.period_end)
    )
    await counter.handle(not_bought(asked.order_id, refused.code))

    after = await counter.row()
    assert refused.code == errors.STALE_PERIOD
    assert (bought, after.until) == (row.until + timedelta(days=30),) * 2
    await counter.later(days=30)
    again = find(RenewAccess, await counter.check())
    assert again.order_id == renewal_order_id(row.id, bought)


async def test_a_plan_that_is_sold_no_more_is_given_up_and_another_is_renewed(counter, find):
    row = await renewing(counter)
    asked = find(RenewAccess, await counter.check())
    await counter.handle(not_bought(asked.order_id, errors.UNKNOWN_PRODUCT))
    await counter.later(hours=7)
    assert await counter.check() == []

    await counter.grant("vpn_eu")
    await counter.later(days=30)

    asked = find(RenewAccess, await counter.check())
    assert (asked.plan_id, asked.attempt) == ("vpn_eu", 1)
    assert asked.period_end == row.until + timedelta(days=30)


async def test_a_grant_that_comes_after_its_hold_is_taken_back_and_asked_for_again(counter, find):
    """Its order was voided while vpn was away; what is asked next is an order of its own."""
    row = await renewing(counter)
    first = find(RenewAccess, await counter.check())
    grant = {"order_id": first.order_id, "renews": first.period_end}
    find(AccessGranted, await counter.grant(**grant))
    await counter.handle(not_bought(first.order_id, errors.HOLD_EXPIRED))
    assert (await counter.row()).until == row.until + timedelta(days=30)

    await counter.handle(RevokeAccess(order_id=first.order_id, user_id=7))
    await counter.later(minutes=1)
    asked = find(RenewAccess, await counter.check())

    assert (await counter.row()).state == "active"
    assert asked.order_id not in renewal_order_ids(row.id, row.until)
    assert find(AccessRefused, await counter.grant(**grant)).code == errors.CANCELLED
    find(AccessGranted, await counter.grant(order_id=asked.order_id, renews=asked.period_end))
    assert (await counter.row()).until == asked.period_end + timedelta(days=30)


async def test_a_refunded_renewal_is_not_charged_again_by_itself(counter, find):
    row = await renewing(counter, days=29, hours=4)
    asked = find(RenewAccess, await counter.check())
    await counter.grant(order_id=asked.order_id, renews=asked.period_end)
    back = RevokeAccess(order_id=asked.order_id, user_id=7, refunded=True)

    changed = find(AccessChanged, await counter.handle(back))

    assert (changed.state, changed.auto_renew) == ("active", False)
    assert changed.until - row.until == timedelta(seconds=1)
    while (counter.now - row.until) < timedelta(days=1):
        await counter.later(hours=1)
        assert not any(isinstance(each, RenewAccess) for each in await counter.check())


async def test_who_wants_a_refunded_renewal_after_all_is_asked_for_anew(counter, find):
    await renewing(counter, days=29, hours=4)
    asked = find(RenewAccess, await counter.check())
    await counter.grant(order_id=asked.order_id, renews=asked.period_end)
    await counter.handle(RevokeAccess(order_id=asked.order_id, user_id=7, refunded=True))

    events = await counter.handle(SetAccessOptions(user_id=7, auto_renew=True))

    assert find(RenewAccess, events).order_id != asked.order_id


async def test_a_refunded_package_leaves_renewal_as_it_was(counter):
    await counter.grant()
    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True))
    order = new_id()
    await counter.grant("vpn_more", days=0, traffic_bytes=GIB, order_id=order)

    await counter.handle(RevokeAccess(order_id=order, user_id=7, refunded=True))

    assert (await counter.row()).auto_renew


async def test_who_switched_reminders_off_hears_that_a_renewal_failed_all_the_same(counter, find):
    """They asked for the renewal: that it does not come is its outcome, not a reminder."""
    row = await renewing(counter)
    asked = find(RenewAccess, await counter.check())
    short = not_bought(asked.order_id, errors.INSUFFICIENT_CREDITS)
    short = structs.replace(short, subscription_id=row.id, period_end=row.until)

    assert find(AccessReminded, await counter.handle(short)).kind == REMINDER_CREDITS_SHORT
    assert await counter.handle(short) == []


async def test_an_expired_hold_told_twice_or_too_late_asks_once(counter, find):
    await renewing(counter)
    first = find(RenewAccess, await counter.check())
    told = not_bought(first.order_id, errors.HOLD_EXPIRED)
    await counter.later(hours=6)
    find(RenewAccess, await counter.handle(told))

    assert await counter.handle(told) == []
    again = renewal_order_ids(first.subscription_id, first.period_end)[1]
    find(AccessGranted, await counter.grant(order_id=again, renews=first.period_end))
    assert await counter.handle(told) == []
    assert await counter.handle(not_bought(again, errors.HOLD_EXPIRED)) == []


async def test_a_renewal_unanswered_for_long_is_asked_again_while_there_is_time(counter, find):
    """As billing does it: each hold is voided after six hours, or a quarter of what is left."""
    row = await renewing(counter)
    find(RenewAccess, await counter.check())
    asked = [row.until - counter.now]
    while (left := row.until - counter.now) > timedelta(hours=1):
        hold = min(timedelta(hours=6), left / 4)
        await counter.later(seconds=hold.total_seconds() + 15)
        order_id = renewal_order_ids(row.id, row.until)[len(asked) - 1]
        events = await counter.handle(not_bought(order_id, errors.HOLD_EXPIRED))
        if not events:
            assert (await counter.row()).due_at < row.until
            counter.clock.moment = (await counter.row()).due_at
            events = await counter.check()
        find(RenewAccess, events)
        asked.append(row.until - counter.now)

    assert len(asked) > counter.terms.renew_attempts_max
    assert asked[-1] < timedelta(hours=1), "to the last"
    assert len(asked) <= len(renewal_order_ids(row.id, row.until))


@pytest.mark.parametrize(
    ("policy", "state", "passes"),
    [("off", "suspended", 0), ("observe", "suspended", 0), ("on", "grace", 3)],
)
async def test_what_an_end_that_was_not_renewed_leads_to(counter, find, policy, state, passes):
    counter.terms = replace(counter.terms, grace_policy=policy)
    await counter.grant(order_id=new_id())
    until = (await counter.row()).until
    held_until = (await counter.desired()).expires_at
    await counter.later(days=30)

    changed = find(AccessChanged, await counter.handle(SweepSubscriptions(due_at=counter.now)))

    assert held_until == until + timedelta(days=passes)
    assert changed.state == state
    assert (await counter.desired()).removed_for == (None if passes else "expired")
    assert changed.grace_until == (until + timedelta(days=passes) if passes else None)
    await counter.later(days=3)
    after = await counter.handle(SweepSubscriptions(due_at=counter.now))
    assert [each.state for each in after] == (["suspended"] if passes else [])
    assert (await counter.row()).delete_at == until + timedelta(days=30 + passes)
    await counter.later(days=30)
    ended = find(AccessChanged, await counter.handle(SweepSubscriptions(due_at=counter.now)))
    assert ended.state == "ended"
    row = await counter.row()
    assert (row.key, row.link, row.link_hash) == (None, None, None)


async def test_who_is_in_grace_may_still_be_renewed_from_the_end_that_was_paid(counter, find):
    counter.terms = replace(counter.terms, grace_policy="on")
    row = await renewing(counter, days=30, hours=1)
    events = await counter.check()
    asked = find(RenewAccess, events)
    assert find(AccessChanged, events).state == "grace"

    find(AccessGranted, await counter.grant(order_id=asked.order_id, renews=asked.period_end))

    after = await counter.row()
    assert (after.state, after.grace_until) == ("active", None)
    assert after.until == row.until + timedelta(days=30, hours=1)
