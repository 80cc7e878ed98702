"""Keys, options, the clock, renewals, days for everybody, traffic: on a real Postgres."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from msgspec import structs

from chassis.clock import new_id
from contracts import errors
from contracts.access import AccessBought, AccessNotBought, AccessPlan, RenewAccess
from contracts.ids import renewal_order_id
from contracts.payments import PaymentCredited
from contracts.vpn import (
    CAUSE_EXTENDED,
    CAUSE_OPTIONS,
    CAUSE_TRAFFIC_SPENT,
    REMINDER_BEFORE_END,
    REMINDER_CREDITS_SHORT,
    REMINDER_DEVICES,
    REMINDER_TRAFFIC,
    AccessChanged,
    AccessReminded,
    CheckNodes,
    EverybodyExtended,
    ExtendEverybody,
    GetAccess,
    KeyRotated,
    ReconcileNodes,
    RotateKey,
    SetAccessOptions,
    SetNode,
    SweepSubscriptions,
)
from vpn.adapters import postgres_nodes
from vpn.adapters.postgres_extensions import PostgresExtensions
from vpn.adapters.postgres_reads import PostgresReads
from vpn.adapters.postgres_traffic import PostgresTraffic
from vpn.domain.plans import GIB
from vpn.handlers.count_traffic import count_devices, count_traffic
from vpn.handlers.extend_everybody import extend_page
from vpn.handlers.get_access import get_access
from vpn.jobs.sweeps import apply_plans
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


async def extend_all(counter):
    found = []
    pages = PostgresExtensions()
    while await counter.run(extend_page, books=counter.books, pages=pages, terms=counter.terms):
        found += counter.emitted
    return found


async def test_everybody_gets_days_once_and_it_is_audited(counter, find):
    for user in range(1, 6):
        await counter.grant("vpn_30" if user < 5 else "vpn_eu", user_id=user)
    counter.terms = replace(counter.terms, rows_max=2)
    action = ExtendEverybody(action_id=uuid4(), days=3, reason="outage", actor="op", plan="vpn_30")
    before = {user: (await counter.row(user)).until for user in range(1, 6)}

    await counter.handle(action)
    await counter.handle(action)
    events = await extend_all(counter)

    assert "extend" in counter.woken
    ended = find(EverybodyExtended, events)
    assert (ended.subscriptions, ended.days, ended.actor) == (4, 3, "op")
    told = [each for each in events if isinstance(each, AccessChanged)]
    assert {(each.cause, each.days, each.reason) for each in told} == {
        (CAUSE_EXTENDED, 3, "outage")
    }
    for user in range(1, 6):
        given = (await counter.row(user)).until - before[user]
        assert given == timedelta(days=3 if user < 5 else 0)
    assert len(await counter.fetch("SELECT FROM extended")) == 4
    assert await extend_all(counter) == []


async def test_who_ran_out_lately_gets_days_too_if_asked(counter):
    await counter.grant(user_id=1)
    await counter.later(days=31)
    await counter.handle(SweepSubscriptions(due_at=counter.now))
    without = ExtendEverybody(action_id=uuid4(), days=3, reason="r", actor="op")
    within = ExtendEverybody(action_id=uuid4(), days=3, reason="r", actor="op", ended_within_days=2)

    await counter.handle(without)
    first = await extend_all(counter)
    await counter.handle(within)
    second = await extend_all(counter)

    assert [each.subscriptions for each in first] == [0]
    assert {type(each) for each in second} == {AccessChanged, EverybodyExtended}
    assert (await counter.row(1)).state == "active"
    assert (await counter.desired(1)).removed_for is None


async def test_a_plan_s_new_terms_reach_who_has_it(counter, find):
    await counter.grant()
    plan = AccessPlan(id="vpn_30", price_credits=150, days=30, devices=5, regions=("us",))
    changed = {plan.id: plan}

    assert await apply_plans(counter.outbox, changed, books=counter.books, terms=counter.terms) == 1
    assert await apply_plans(counter.outbox, changed, books=counter.books, terms=counter.terms) == 0

    row = await counter.row()
    assert (row.devices, row.set_id, row.limit_bytes) == (5, "us", 100 * GIB)
    assert (await counter.desired()).set_id == "us"
    causes = await counter.fetch(
        "SELECT count(*) FROM outbox WHERE subject = $1", AccessChanged.subject
    )
    assert causes == [(2,)]


async def count(counter, node, used):
    ids = {(await counter.row(user)).id: amount for user, amount in used.items()}
    await counter.run(
        count_traffic,
        node,
        ids,
        books=counter.books,
        traffic=PostgresTraffic(),
        terms=counter.terms,
    )
    return counter.emitted


async def test_traffic_of_all_nodes_adds_up_and_the_same_page_adds_nothing(counter):
    await counter.grant()

    await count(counter, "eu-1", {7: 10 * GIB})
    await count(counter, "eu-1", {7: 10 * GIB})
    await count(counter, "us-1", {7: 5 * GIB})
    await count(counter, "eu-1", {7: 12 * GIB})
    # The node lost its disk: it counts from nothing again.
    await count(counter, "eu-1", {7: GIB})

    assert (await counter.row()).used_bytes == 18 * GIB


async def test_traffic_is_told_at_the_marks_and_stops_at_the_limit(counter, find):
    await counter.grant()

    told = find(AccessReminded, await count(counter, "eu-1", {7: 85 * GIB}))
    assert (told.kind, told.percent) == (REMINDER_TRAFFIC, 85)
    assert await count(counter, "eu-1", {7: 90 * GIB}) == []
    events = await count(counter, "us-1", {7: 30 * GIB})

    assert find(AccessChanged, events).cause == CAUSE_TRAFFIC_SPENT
    assert len(events) == 1, "one notice says it"
    assert (await counter.desired()).removed_for == CAUSE_TRAFFIC_SPENT


async def test_strangers_counters_are_nobody_s(counter):
    await counter.run(
        count_traffic,
        "eu-1",
        {UUID(int=1): GIB},
        books=counter.books,
        traffic=PostgresTraffic(),
        terms=counter.terms,
    )

    assert await counter.fetch("SELECT FROM traffic_counters") == []


async def test_devices_over_the_limit_on_all_nodes_together_are_told(counter, find):
    await counter.grant()
    one = (await counter.row()).id

    async def online(node, addresses):
        await counter.run(
            count_devices,
            node,
            {one: addresses},
            books=counter.books,
            traffic=PostgresTraffic(),
            terms=counter.terms,
        )
        return counter.emitted

    assert await online("eu-1", 2) == []
    assert await online("us-1", 2) == []
    for _ in range(3):
        await counter.later(minutes=4)
        assert await online("us-1", 2) == []
        assert await online("eu-1", 2) == []
    await counter.later(minutes=4)
    told = find(AccessReminded, await online("eu-1", 2))

    assert (told.kind, told.limit) == (REMINDER_DEVICES, 2)
    assert await online("eu-1", 0) == []
    assert (await counter.row()).devices_over_since is None


async def test_a_person_is_shown_their_access_and_a_link_opens_it(counter):
    reads = PostgresReads(counter.database, NODES, counter.terms, counter.clock)

    async def ask(user_id):
        return await get_access(
            GetAccess(user_id=user_id),
            reads=reads,
            nodes=NODES,
            regions={"eu": "Europe"},
            base_url="https://s.example.org",
        )

    assert not (await ask(7)).exists
    await counter.grant()
    await counter.execute("UPDATE nodes SET health = 'up' WHERE name = 'eu-1'")

    shown = await ask(7)

    row = await counter.row()
    assert shown.link == f"https://s.example.org/sub/{row.link}"
    assert (shown.state, shown.limit_bytes, shown.devices) == ("active", 100 * GIB, 2)
    assert [(node.name, node.up) for node in shown.nodes] == [("eu-1", True), ("us-1", False)]
    assert [node.region for node in shown.nodes] == ["Europe", "us"]
    view = await reads.by_token(row.link)
    assert (view.key, [node.name for node in view.nodes]) == (row.key, ["eu-1"])
    await counter.execute("UPDATE nodes SET seen_at = $1 WHERE name = 'us-1'", counter.now)
    view = await reads.by_token(row.link)
    assert [node.name for node in view.nodes] == ["eu-1", "us-1"], "it is silent, but not for long"
    assert await reads.by_token("x" * 32) is None


async def test_operators_set_nodes_and_ticks_wake_keepers(counter):
    await counter.execute("UPDATE nodes SET generation = 5")

    await counter.handle(SetNode(node="eu-1", state="off", actor="op", reason="broken"))
    await counter.handle(SetNode(node="nowhere", state="off", actor="op"))
    await counter.handle(SetNode(node="us-1", state="strange", actor="op"))
    await counter.handle(CheckNodes(due_at=counter.now))
    await counter.handle(ReconcileNodes(due_at=counter.now))
    await counter.handle(ReconcileNodes(due_at=counter.now, dry_run=True))

    states = await counter.fetch("SELECT name, state, state_actor, generation FROM nodes")
    assert sorted(states) == [("eu-1", "off", "op", 0), ("us-1", "active", "", 5)]
    assert counter.woken == ["push", "check", "reconcile", "try_reconcile"]
