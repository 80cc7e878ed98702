"""Keys, options, the clock, renewals: on a real Postgres."""

from datetime import timedelta
from uuid import uuid4

from msgspec import structs

from chassis.clock import new_id
from contracts import errors
from contracts.access import AccessBought, AccessNotBought, RenewAccess
from contracts.ids import renewal_order_id, renewal_order_ids
from contracts.payments import PaymentCredited
from contracts.vpn import (
    CAUSE_OPTIONS,
    REMINDER_BEFORE_END,
    REMINDER_CREDITS_SHORT,
    AccessChanged,
    AccessReminded,
    KeyRotated,
    RotateKey,
    SetAccessOptions,
    SweepSubscriptions,
)
from vpn.adapters import postgres_nodes
from vpn.ports.registry import NodeConfig

LINK = {"address": "vpn.example.org", "port": 443}
NODES = {
    name: NodeConfig(name=name, region=name[:2], url="https://x", link=LINK)
    for name in ("eu-1", "us-1")
}


async def rotate(counter, **fields):
    return await counter.handle(RotateKey(user_id=7, **fields))


async def tell_rotated(counter):
    await counter.run(postgres_nodes.tell_rotated, timedelta(seconds=10))
    return counter.emitted


async def test_a_rotation_is_told_when_every_node_has_confirmed_it(counter, find):
    await counter.grant()
    before = await counter.row()

    assert await rotate(counter) == []

    after = await counter.row()
    assert (after.key != before.key, after.link) == (True, before.link)
    assert (await counter.desired()).key == after.key
    await counter.execute("UPDATE nodes SET health = 'up', generation = 1")
    assert await tell_rotated(counter) == []
    await counter.execute("UPDATE nodes SET generation = 2 WHERE name = 'eu-1'")
    assert await tell_rotated(counter) == []
    await counter.execute("UPDATE nodes SET generation = 2")
    told = find(KeyRotated, await tell_rotated(counter))
    assert (told.confirmed, told.waiting_nodes, told.link_too) == (True, 0, False)
    assert await tell_rotated(counter) == []


async def test_a_node_that_is_away_leaves_a_rotation_unconfirmed_until_it_is_back(counter, find):
    await counter.grant()
    await rotate(counter, link_too=True)
    await counter.execute("UPDATE nodes SET health = 'up', generation = 2 WHERE name = 'eu-1'")

    told = find(KeyRotated, await tell_rotated(counter))

    assert (told.confirmed, told.waiting_nodes, told.link_too) == (False, 1, True)
    assert await tell_rotated(counter) == []
    await counter.execute("UPDATE nodes SET generation = 2")
    assert find(KeyRotated, await tell_rotated(counter)).confirmed


async def test_who_has_no_key_has_nothing_to_rotate(counter):
    assert await rotate(counter) == []


async def test_options_are_kept_and_told(counter, find):
    await counter.grant()

    events = await counter.handle(
        SetAccessOptions(user_id=7, auto_renew=True, time_zone="Asia/Tokyo")
    )

    changed = find(AccessChanged, events)
    assert (changed.auto_renew, changed.cause) == (True, CAUSE_OPTIONS)
    assert await counter.fetch("SELECT time_zone, reminders FROM people") == [("Asia/Tokyo", True)]
    await counter.handle(SetAccessOptions(user_id=7, reminders=False, time_zone="No/Where"))
    assert await counter.fetch("SELECT time_zone, reminders FROM people") == [("Asia/Tokyo", False)]


async def test_the_end_comes_by_timer_to_the_second_and_only_when_due(counter, find):
    await counter.grant()
    until = (await counter.row()).until
    await counter.handle(SetAccessOptions(user_id=7, reminders=False))

    counter.clock.moment = until - timedelta(seconds=1)
    await counter.outbox.partitions.maintain()
    assert await counter.check() == []
    assert [timer.due_at for timer in counter.timers] == [until]
    counter.clock.moment = until
    changed = find(AccessChanged, await counter.check())

    assert changed.state == "suspended"
    assert changed.delete_at == until + timedelta(days=30)
    assert (await counter.desired()).removed_for == "expired"
    assert await counter.check() == []


async def test_the_sweep_does_what_a_lost_timer_did_not(counter, find):
    for user in range(1, 4):
        await counter.grant(user_id=user)
    await counter.later(days=31)

    events = await counter.handle(SweepSubscriptions(due_at=counter.now))

    assert {each.user_id for each in events} == {1, 2, 3}
    assert {each.state for each in events} == {"suspended"}
    assert await counter.handle(SweepSubscriptions(due_at=counter.now)) == []


async def test_a_sweep_leaves_out_who_is_being_worked_on(counter):
    await counter.grant(user_id=1)
    await counter.grant(user_id=2)
    await counter.later(days=31)
    async with counter.outbox.begin() as uow:
        await counter.books.subscriptions.lock(uow.connection, [1])

        events = await counter.handle(SweepSubscriptions(due_at=counter.now))

    assert [each.user_id for each in events] == [2]


async def test_reminders_go_out_once(counter, find):
    await counter.grant()
    await counter.later(days=27, hours=4)

    reminded = find(AccessReminded, await counter.check())

    assert (reminded.kind, reminded.days_left) == (REMINDER_BEFORE_END, 3)
    assert await counter.check() == []


async def test_a_renewal_is_asked_of_billing_by_the_period_and_a_refusal_told_once(counter, find):
    await counter.grant()
    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True, reminders=False))
    row = await counter.row()
    await counter.later(days=29, seconds=1)

    asked = find(RenewAccess, await counter.check())

    assert asked.order_id == renewal_order_id(row.id, row.until)
    assert (asked.plan_id, asked.period_end, asked.attempt) == ("vpn_30", row.until, 1)
    refusal = AccessNotBought(
        order_id=asked.order_id,
        user_id=7,
        plan_id="vpn_30",
        code=errors.INSUFFICIENT_CREDITS,
        renewal=True,
        subscription_id=row.id,
        period_end=row.until,
    )
    told = find(AccessReminded, await counter.handle(refusal))
    assert told.kind == REMINDER_CREDITS_SHORT
    assert await counter.handle(refusal) == []
    await counter.later(hours=6)
    again = find(RenewAccess, await counter.check())
    assert (again.attempt, again.order_id) == (2, asked.order_id)


async def renewing(counter, find):
    """Somebody whose renewal was just asked for the first time."""
    await counter.grant()
    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True, reminders=False))
    await counter.later(days=29, seconds=1)
    return find(RenewAccess, await counter.check())


def voided(asked, code, again=0):
    """What billing says of an order that held and ended: it names no period."""
    order_id = renewal_order_ids(asked.subscription_id, asked.period_end)[again]
    return AccessNotBought(order_id=order_id, user_id=7, plan_id="vpn_30", code=code, renewal=True)


async def test_a_voided_renewal_goes_on_after_its_spacing_as_often_as_any(counter, find):
    asked = await renewing(counter, find)
    for attempt in range(2, counter.terms.renew_attempts_max + 1):
        assert await counter.handle(voided(asked, errors.NO_NODES, attempt - 2)) == []
        assert await counter.check() == []
        await counter.later(hours=6)
        again = find(RenewAccess, await counter.check())
        assert (again.order_id, again.attempt) == (asked.order_id, attempt)

    await counter.handle(voided(asked, errors.NO_NODES, 2))
    await counter.later(hours=6)

    assert await counter.check() == []


async def test_a_renewal_that_was_voided_for_good_is_given_up(counter, find):
    asked = await renewing(counter, find)

    await counter.handle(voided(asked, errors.UNKNOWN_PRODUCT))
    await counter.later(hours=6)

    assert await counter.check() == []


async def test_attempts_that_met_an_open_hold_do_not_use_a_renewal_up(counter, find):
    asked = await renewing(counter, find)
    for _ in range(counter.terms.renew_attempts_max - 1):
        await counter.later(hours=6)
        find(RenewAccess, await counter.check())
    await counter.later(hours=6)
    assert await counter.check() == []

    again = find(RenewAccess, await counter.handle(voided(asked, errors.HOLD_EXPIRED)))

    assert (again.order_id, again.period_end) == (asked.order_id, asked.period_end)


async def test_what_was_voided_of_another_period_changes_nothing(counter, find):
    asked = await renewing(counter, find)
    other = structs.replace(asked, period_end=asked.period_end - timedelta(days=30))
    before = await counter.row()

    for event in (voided(other, errors.UNKNOWN_PRODUCT), voided(other, errors.HOLD_EXPIRED)):
        assert await counter.handle(event) == []

    assert await counter.row() == before


async def test_a_top_up_lets_a_renewal_go_on_that_lacked_credits(counter, find):
    await counter.grant()
    credited = PaymentCredited(
        payment_id=uuid4(),
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
    assert await counter.handle(credited) == []
    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True, reminders=False))
    row = await counter.row()
    refusal = AccessNotBought(
        order_id=renewal_order_id(row.id, row.until),
        user_id=7,
        plan_id="vpn_30",
        code=errors.INSUFFICIENT_CREDITS,
        renewal=True,
        subscription_id=row.id,
        period_end=row.until,
    )
    await counter.later(days=29, seconds=1)
    for _ in range(counter.terms.renew_attempts_max):
        find(RenewAccess, await counter.check())
        await counter.handle(refusal)
        await counter.later(hours=6)
    assert await counter.check() == [], "it was given up"

    asked = find(RenewAccess, await counter.handle(credited))

    assert asked.order_id == refusal.order_id
    assert await counter.handle(AccessNotBought(**structs.asdict(refusal))) == []


async def test_a_charged_order_is_marked(counter):
    order = new_id()
    await counter.grant(order_id=order)

    event = AccessBought(
        order_id=order,
        user_id=7,
        plan_id="vpn_30",
        kind="plan",
        charged_credits=150,
        available_credits=0,
        until=counter.now,
    )
    await counter.handle(event)

    assert await counter.fetch("SELECT bought_at FROM grants") == [(counter.now,)]
