"""Days for everybody, traffic, devices, what is shown: on a real Postgres."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from contracts.access import AccessPlan
from contracts.vpn import (
    CAUSE_EXTENDED,
    CAUSE_TRAFFIC_SPENT,
    REMINDER_TRAFFIC,
    AccessChanged,
    AccessReminded,
    CheckNodes,
    EverybodyExtended,
    ExtendEverybody,
    GetAccess,
    ReconcileNodes,
    SetNode,
    SweepSubscriptions,
)
from vpn.adapters.postgres_extensions import PostgresExtensions
from vpn.adapters.postgres_reads import PostgresReads
from vpn.adapters.postgres_traffic import PostgresTraffic
from vpn.domain.plans import GIB
from vpn.handlers.count_traffic import count_traffic
from vpn.handlers.extend_everybody import extend_page
from vpn.handlers.get_access import get_access
from vpn.jobs.sweeps import apply_plans
from vpn.ports.registry import NodeConfig

LINK = {"address": "vpn.example.org", "port": 443}
NODES = {
    name: NodeConfig(name=name, region=name[:2], url="https://x", link=LINK)
    for name in ("eu-1", "us-1")
}


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


async def count(counter, node, used, epoch=""):
    ids = {(await counter.row(user)).id: amount for user, amount in used.items()}
    counter.fallen = await counter.run(
        count_traffic,
        node,
        ids,
        epoch,
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
    # The node lost its disk: what it counted until this page is not known, and costs nobody.
    await count(counter, "eu-1", {7: GIB})
    await count(counter, "eu-1", {7: 2 * GIB})

    assert (await counter.row()).used_bytes == 18 * GIB


async def used(counter, *steps):
    """What is billed after readings of (node, epoch, gibibytes)."""
    for node, epoch, amount in steps:
        await count(counter, node, {7: amount * GIB}, epoch)
    return (await counter.row()).used_bytes // GIB


@pytest.mark.parametrize(
    ("steps", "billed"),
    [
        # A new disk: the first reading of it is where counting goes on.
        ([("eu-1", "a", 50), ("eu-1", "b", 3), ("eu-1", "b", 4)], 51),
        # It counted more than the old one by then: nothing of that is guessed.
        ([("eu-1", "a", 5), ("eu-1", "b", 9), ("eu-1", "b", 10)], 6),
        # The old disk comes back, and goes again: what it had counted was billed.
        ([("eu-1", "a", 40), ("eu-1", "b", 1), ("eu-1", "a", 42), ("eu-1", "b", 2)], 43),
        # Two disks that answer in turn for one name.
        ([("eu-1", each, 30) for each in "abababab"], 30),
        # The node was given another name, or its disk to another node.
        ([("eu-1", "a", 40), ("us-1", "a", 41), ("us-1", "a", 43)], 43),
        # A disk that was copied: the copy had counted the same.
        ([("eu-1", "a", 40), ("us-1", "a", 39), ("us-1", "a", 41), ("eu-1", "a", 42)], 44),
        # The name is another's, then its own again.
        ([("eu-1", "a", 40), ("us-1", "b", 9), ("us-1", "a", 41), ("us-1", "b", 10)], 51),
        # An agent that begins to say, stops saying and says again on which disk it counts.
        ([("eu-1", "", 20), ("eu-1", "a", 21), ("eu-1", "", 23), ("eu-1", "a", 24)], 24),
        # A disk restored from an older copy of itself.
        ([("eu-1", "a", 20), ("eu-1", "a", 15), ("eu-1", "a", 16)], 21),
    ],
)
async def test_a_disk_that_changes_bills_nothing_twice_and_loses_one_reading(
    counter, steps, billed
):
    await counter.grant("vpn_eu")

    assert await used(counter, *steps) == billed
    assert await used(counter, steps[-1]) == billed, "the same reading again"


async def test_only_a_disk_s_own_counters_can_fall(counter):
    await counter.grant("vpn_eu")
    await used(counter, ("eu-1", "a", 50), ("eu-1", "b", 3))
    assert counter.fallen == 0

    await used(counter, ("eu-1", "b", 1))

    assert counter.fallen == 2 * GIB


async def test_who_idles_while_disks_change_is_billed_from_the_first_reading_of_each(counter):
    for user in (7, 8):
        await counter.grant("vpn_eu", user_id=user)
    await count(counter, "eu-1", {7: 10, 8: 10}, "a")
    await count(counter, "eu-1", {7: 1}, "b")

    await count(counter, "eu-1", {7: 2, 8: 4}, "b")
    await count(counter, "eu-1", {7: 2, 8: 9}, "b")

    assert [(await counter.row(user)).used_bytes for user in (7, 8)] == [11, 15]


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
