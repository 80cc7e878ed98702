"""Access is given once per order, taken back once, and every change has a generation."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from chassis.clock import new_id
from contracts import errors
from contracts.ids import renewal_order_id
from contracts.scheduler import ScheduleTimer
from contracts.vpn import (
    CAUSE_GRANTED,
    CAUSE_RENEWED,
    CAUSE_TRAFFIC_ADDED,
    AccessChanged,
    AccessGranted,
    AccessRefused,
    AccessRevoked,
    CheckSubscription,
    GrantAccess,
    RevokeAccess,
)
from vpn.domain.desired import Entry
from vpn.domain.plans import GIB
from vpn.domain.set_hash import set_hash


async def test_a_purchase_is_answered_told_timed_and_wanted_on_nodes(counter, find):
    order = new_id()

    events = await counter.grant(order_id=order)

    row = await counter.row()
    granted, changed = find(AccessGranted, events), find(AccessChanged, events)
    assert (granted.order_id, granted.until, granted.subscription_id) == (order, row.until, row.id)
    assert (changed.state, changed.cause, changed.until) == ("active", CAUSE_GRANTED, row.until)
    wanted = await counter.desired()
    assert (wanted.key, wanted.expires_at, wanted.generation) == (row.key, row.until, 1)
    [timer] = counter.timers
    assert (timer.key, timer.due_at) == (f"vpn:{row.id}", row.due_at)
    fired = CheckSubscription.decode(timer.fire_body)
    assert (fired.subscription_id, fired.user_id) == (row.id, 7)
    assert counter.woken == ["push"]


async def test_one_order_gives_once_and_is_answered_the_same_every_time(counter, find):
    order = new_id()
    first = find(AccessGranted, await counter.grant(order_id=order))

    again = await counter.grant(order_id=order, days=90)

    assert again == [first]
    assert (await counter.row()).until == first.until
    assert await counter.generation() == 1


async def test_two_orders_of_one_batch_add_up(counter):
    orders = [
        GrantAccess(order_id=new_id(), user_id=user, plan="vpn_30", days=30) for user in (7, 8, 7)
    ]

    events = await counter.handle(*orders)

    assert sum(isinstance(each, AccessGranted) for each in events) == 3
    first, second = await counter.row(7), await counter.row(8)
    assert first.until - second.until == timedelta(days=30)
    assert await counter.generation() == 1
    assert len(await counter.fetch("SELECT FROM grants")) == 3


async def test_what_is_refused_is_answered_and_leaves_no_trace(counter, find):
    codes = {}
    for name, fields in {
        "plan": {"plan": "vpn_30", "renews": counter.now},
        "traffic": {"plan": "vpn_more", "days": 0, "traffic_bytes": GIB},
    }.items():
        codes[name] = find(AccessRefused, await counter.grant(user_id=9, **fields)).code
    unknown = GrantAccess(order_id=new_id(), user_id=9, plan="month", days=30)
    codes["unknown"] = find(AccessRefused, await counter.handle(unknown)).code

    assert codes == {
        "plan": errors.STALE_PERIOD,
        "traffic": errors.NO_SUBSCRIPTION,
        "unknown": errors.UNKNOWN_PRODUCT,
    }
    assert await counter.fetch("SELECT FROM subscriptions") == []
    assert await counter.generation() == 0


async def test_a_refused_neighbour_harms_nobody_in_its_batch(counter):
    good = GrantAccess(order_id=new_id(), user_id=7, plan="vpn_30", days=30)
    bad = GrantAccess(order_id=new_id(), user_id=8, plan="gone", days=30)

    events = await counter.handle(bad, good)

    assert [type(each) for each in events if not isinstance(each, AccessChanged)] == [
        AccessRefused,
        AccessGranted,
    ]


async def test_nothing_is_sold_that_no_node_may_serve(counter, find):
    await counter.execute("UPDATE nodes SET state = 'draining' WHERE region = 'eu'")

    refused = find(AccessRefused, await counter.grant("vpn_eu"))

    assert refused.code == errors.NO_NODES
    find(AccessGranted, await counter.grant("vpn_30"))


@pytest.mark.parametrize("state", ["draining", "off"])
async def test_nodes_taken_out_of_use_refuse_nobody_who_has_access(counter, find, state):
    await counter.grant()
    row = await counter.row()
    await counter.execute("UPDATE nodes SET state = $1", state)

    renewed = find(AccessGranted, await counter.grant(renews=row.until))
    extended = find(AccessGranted, await counter.grant())
    find(AccessGranted, await counter.grant("vpn_more", days=0, traffic_bytes=GIB))

    assert renewed.until == row.until + timedelta(days=30)
    assert extended.until == row.until + timedelta(days=60)
    for plan in ("vpn_30", "vpn_trial"):
        newcomer = find(AccessRefused, await counter.grant(plan, user_id=8))
        assert newcomer.code == errors.NO_NODES
    moved = find(AccessRefused, await counter.grant("vpn_eu"))
    assert moved.code == errors.NO_NODES, "it would move where nobody serves"


async def test_the_trial_is_given_once_a_person(counter, find):
    find(AccessGranted, await counter.grant("vpn_trial"))

    refused = find(AccessRefused, await counter.grant("vpn_trial"))

    assert refused.code == errors.TRIAL_USED
    assert (await counter.row()).trial_used


async def test_a_period_is_renewed_once_however_its_order_is_named(counter, find):
    await counter.grant()
    row = await counter.row()
    order = renewal_order_id(row.id, row.until)

    events = await counter.grant(order_id=order, renews=row.until)

    assert find(AccessChanged, events).cause == CAUSE_RENEWED
    assert (await counter.row()).until == row.until + timedelta(days=30)
    other = find(AccessRefused, await counter.grant(renews=row.until))
    assert other.code == errors.STALE_PERIOD


async def test_a_package_adds_traffic(counter, find):
    await counter.grant()

    events = await counter.grant("vpn_more", days=0, traffic_bytes=50 * GIB)

    assert find(AccessChanged, events).cause == CAUSE_TRAFFIC_ADDED
    assert (await counter.row()).limit_bytes == 150 * GIB


async def test_another_region_moves_the_entry_from_set_to_set(counter):
    await counter.grant()
    await counter.grant("vpn_eu")

    assert (await counter.desired()).set_id == "eu"
    sets = dict(await counter.fetch("SELECT id, entries FROM node_sets"))
    assert sets == {"all": 0, "eu": 1}


async def test_a_refund_takes_back_what_was_given_once(counter, find):
    order = new_id()
    await counter.grant(order_id=order)
    revoke = RevokeAccess(order_id=order, user_id=7)

    events = await counter.handle(revoke)

    assert find(AccessRevoked, events).until is None
    wanted = await counter.desired()
    assert (wanted.removed_for, wanted.generation) == ("revoked", 2)
    assert (await counter.row()).state == "suspended"
    again = await counter.handle(revoke)
    assert [type(each) for each in again] == [AccessRevoked]
    assert await counter.generation() == 2


async def test_a_refund_that_comes_first_keeps_the_order_from_giving(counter, find):
    order = new_id()

    find(AccessRevoked, await counter.handle(RevokeAccess(order_id=order, user_id=7)))

    refused = find(AccessRefused, await counter.grant(order_id=order))
    assert refused.code == errors.CANCELLED
    assert await counter.desired() is None


async def test_the_kept_hash_is_that_of_the_rows_after_any_history(counter):
    for user in range(1, 8):
        await counter.grant("vpn_30" if user % 2 else "vpn_eu", user_id=user)
    orders = await counter.fetch("SELECT order_id, user_id FROM grants ORDER BY user_id LIMIT 3")
    for order, user in orders:
        await counter.handle(RevokeAccess(order_id=order, user_id=user))
    await counter.grant("vpn_30", user_id=2)

    rows = await counter.fetch(
        "SELECT subscription_id, key, expires_at, flow, set_id FROM desired "
        "WHERE removed_for IS NULL"
    )
    for set_id, entries, total in await counter.fetch("SELECT * FROM node_sets"):
        mine = [Entry(str(row[0]), *row[1:4]) for row in rows if row[4] == set_id]
        assert (entries, f"{int(total):032x}") == (len(mine), set_hash(mine))


async def test_concurrent_transactions_get_generations_in_the_order_of_commits(counter):
    async def grant(user):
        for _ in range(5):
            await counter.grant(user_id=user, order_id=uuid4())

    await asyncio.gather(*(grant(user) for user in range(1, 5)))

    assert await counter.generation() == 20
    newest = await counter.fetch("SELECT max(generation) FROM desired")
    assert newest == [(20,)]


async def test_a_timer_is_replaced_and_never_goes_back(counter):
    await counter.grant()
    [first] = counter.timers
    await counter.grant()
    [second] = counter.timers

    assert isinstance(second, ScheduleTimer)
    assert (second.key, second.version) == (first.key, first.version + 1)
    assert second.due_at == first.due_at + timedelta(days=30)
