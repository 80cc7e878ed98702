"""Nodes follow what is wanted; whatever they do, nobody who paid is cut and no stranger touched."""

import asyncio
from datetime import timedelta

import pytest

from chassis.clock import SystemClock
from chassis.testing import drain
from contracts import errors
from contracts.vpn import (
    GetNodes,
    GetReconcileReport,
    ReconcileNodes,
    RevokeAccess,
    RotateKey,
    SetNode,
)
from vpn.adapters.nodes.memory import MemoryNode
from vpn.handlers.get_nodes import get_nodes, get_reconcile_report
from vpn.testing import somebody


def report(shop, *, dry_run=False):
    request = GetReconcileReport(dry_run=dry_run)
    return get_reconcile_report(request, nodes=shop.built.keeping)


async def drifts(shop, *, dry_run=False):
    return {each.node: each for each in (await report(shop, dry_run=dry_run)).nodes}


async def test_what_is_bought_is_on_every_node_at_once_and_what_is_taken_back_is_off(shop):
    await shop.grant(1, 2, 3)
    await shop.in_step()
    puts = {name: node.calls.count("put_set") for name, node in shop.nodes.items()}

    await shop.grant(4)
    await shop.in_step()
    orders = await shop.fetch("SELECT order_id FROM grants WHERE user_id = 1")
    await shop.handle(RevokeAccess(order_id=orders[0][0], user_id=1))
    await shop.in_step()

    assert len(await shop.wanted()) == 3
    # By differences: no node was sent its whole set again.
    assert puts == {name: node.calls.count("put_set") for name, node in shop.nodes.items()}
    assert "users" not in shop.nodes["us-1"].calls


async def test_the_first_certificate_to_end_is_counted_down_for_the_alert(shop):
    fleet, now = shop.built.fleet, SystemClock().now()
    for days, node in zip((20, 5, 30), shop.nodes.values(), strict=True):
        node.certificate_until = now + timedelta(days=days)

    async def counted():
        return 4.9 < fleet.certificate_days_left(now) < 5.1

    await drain(counted, what="five days")


async def test_a_region_s_plan_is_on_that_region_s_nodes_alone(shop):
    await shop.grant(1)
    await shop.grant(2, plan="vpn_eu")

    async def spread():
        return [len(node.held) for node in shop.nodes.values()] == [2, 2, 1]

    await drain(spread, what="both in eu, one in us")
    await shop.grant(1, plan="vpn_eu")

    async def moved():
        return [len(node.held) for node in shop.nodes.values()] == [2, 2, 0]

    await drain(moved, what="nobody in us any more")


async def test_a_rotation_is_confirmed_when_the_old_key_is_gone_everywhere(shop):
    await shop.grant(1)
    await shop.in_step()
    [(old,)] = await shop.fetch("SELECT key FROM subscriptions")
    shop.nodes["us-1"].faults.hangs = True

    await shop.handle(RotateKey(user_id=1))
    await shop.confirmed("eu-1", "eu-2")
    assert not any(each.confirmed for each in await shop.rotations())
    shop.nodes["us-1"].faults.hangs = False

    # The call that hung fails: until the next one the node is taken for one that is away.
    await shop.rotation_confirmed()
    held = [each.key for node in shop.nodes.values() for each in node.held.values()]
    assert old not in held
    assert len(held) == 3


async def test_a_node_that_was_away_gets_what_it_missed_and_is_alarmed_about(shop):
    await shop.grant(1)
    await shop.in_step()
    away = shop.nodes["us-1"]
    away.faults.away = True

    await shop.grant(2, 3)
    await shop.alarmed("us-1", errors.NODE_DOWN)
    await shop.confirmed("eu-1", "eu-2")
    assert len(away.held) == 1
    away.faults.away = False

    await shop.in_step()
    await shop.alarmed("us-1", errors.NODE_UP)
    assert "users" not in away.calls


async def test_a_node_that_lost_everything_has_it_back_at_once(shop):
    await shop.grant(*range(1, 20))
    await shop.in_step()

    shop.nodes["eu-1"].restart(wiped=True)

    await shop.in_step()
    assert len(shop.nodes["eu-1"].held) == 19


async def test_a_lost_answer_is_not_a_difference(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["eu-1"]
    node.faults.loses_answers = True
    await shop.grant(2)
    await drain(lambda: len(node.held) == 2, what="the change itself")
    node.faults.loses_answers = False

    await shop.in_step()

    assert "users" not in node.calls


@pytest.mark.parametrize("fault", ["away", "hangs", "lists_nobody"])
async def test_a_fault_cuts_nobody_who_paid(shop, soon, fault):
    await shop.grant(*range(1, 12))
    await shop.in_step()
    paid = await shop.wanted()
    node = shop.nodes["us-1"]
    node.foreign = shop.strangers(3)
    strangers = dict(node.foreign)

    setattr(node.faults, fault, True)
    node.restart()
    await shop.handle(ReconcileNodes(due_at=SystemClock().now()))
    await soon()
    held = dict(node.held)
    setattr(node.faults, fault, False)
    await shop.in_step()

    assert held == paid
    assert node.foreign == strangers


async def test_an_empty_list_of_a_full_node_is_alarmed_and_mended_by_adding(shop):
    await shop.grant(*range(1, 12))
    await shop.in_step()
    node = shop.nodes["us-1"]
    node.faults.lists_nobody = True
    stray = somebody(1, SystemClock().now())
    node.corrupt({**node.held, stray.email: stray})

    await shop.alarmed("us-1", errors.NODE_EMPTY_LIST)
    node.faults.lists_nobody = False

    assert set(await shop.wanted()) <= set(node.held)


async def test_a_liar_is_alarmed(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    node.faults.lies = True

    await shop.grant(2)

    await shop.alarmed("us-1", errors.NODE_LIES)
    node.faults.lies = False
    await shop.handle(ReconcileNodes(due_at=SystemClock().now()))
    await shop.in_step()


async def test_strangers_are_reported_and_never_touched(shop):
    await shop.grant(1, 2)
    await shop.in_step()
    node = shop.nodes["us-1"]
    node.foreign = shop.strangers(4)
    before = dict(node.foreign)
    missing = next(iter(node.held))
    node.corrupt({email: each for email, each in node.held.items() if email != missing})

    await shop.alarmed("us-1", errors.NODE_FOREIGN_USERS)
    await shop.in_step()

    assert node.foreign == before


async def test_strangers_that_look_like_ours_are_not_swept_away_with_the_set(shop):
    """Their ids are unknown here: this database may be older than the node (it was restored)."""
    await shop.grant(1, 2)
    await shop.in_step()
    node = shop.nodes["us-1"]
    other = somebody(2, SystemClock().now() + timedelta(days=1))
    node.corrupt({**node.held, other.email: other})

    await shop.alarmed("us-1", errors.NODE_FOREIGN_USERS)
    await shop.grant(3)
    await drain(lambda: len(node.held) == 4, what="the new one beside the stranger")

    assert other.email in node.held


async def test_many_removals_without_a_record_are_held_back(shop, soon):
    await shop.grant(*range(1, 9))
    await shop.in_step()
    node = shop.nodes["us-1"]
    held = dict(node.held)
    # Somebody deleted rows by hand: no record says why these people should go.
    async with shop.outbox.database.read() as connection:
        await connection.execute(
            "DELETE FROM desired WHERE subscription_id IN "
            "(SELECT id FROM subscriptions WHERE user_id <= 5)"
        )
        await connection.execute(
            "UPDATE node_sets SET entries = s.c, digest_sum = mod(s.d, 2::numeric ^ 128) FROM "
            "(SELECT count(*) AS c, sum(digest) AS d FROM desired) s WHERE id = 'all'"
        )
        await connection.execute("UPDATE desired_head SET generation = generation + 1")

    await shop.alarmed("us-1", errors.NODE_BLAST_RADIUS)
    await soon()

    assert node.held == held
    await shop.grant(20)
    await drain(lambda: len(node.held) == 9, what="who paid meanwhile")
    assert set(held) <= set(node.held)


async def test_an_empty_database_empties_no_node(open_shop, soon):
    nodes = {"us-1": MemoryNode("us-1", SystemClock())}
    full = [somebody(n, SystemClock().now() + timedelta(days=1)) for n in range(2)]
    nodes["us-1"].corrupt({each.email: each for each in full})
    nodes["us-1"].generation = 41
    async with open_shop(nodes) as shop:
        await shop.alarmed("us-1", errors.NODE_FOREIGN_USERS)
        await soon()

        assert len(nodes["us-1"].held) == 2
        [(generation,)] = await shop.fetch("SELECT generation FROM desired_head")
        assert generation > 41


async def test_a_dry_run_reports_and_changes_nothing(shop, soon):
    await shop.grant(1, 2, 3)
    await shop.in_step()
    node = shop.nodes["us-1"]
    node.foreign = shop.strangers(1)
    calls = len([call for call in node.calls if call in ("put_set", "change")])

    await shop.handle(ReconcileNodes(due_at=SystemClock().now(), dry_run=True))

    async def reported():
        return len(await drifts(shop, dry_run=True)) == 3

    await drain(reported, what="the dry report")
    line = (await drifts(shop, dry_run=True))["us-1"]
    assert (line.missing, line.extra, line.foreign, line.mended) == (0, 0, 1, 0)
    assert len([call for call in node.calls if call in ("put_set", "change")]) == calls


async def test_without_drift_nothing_is_listed(shop, soon):
    await shop.grant(1, 2, 3)
    await shop.in_step()
    await shop.handle(ReconcileNodes(due_at=SystemClock().now()))
    await soon()

    async def compared():
        return len(await drifts(shop)) == 3

    await drain(compared, what="a report of each")
    assert {each.held_back for each in (await drifts(shop)).values()} == {""}
    assert all("users" not in node.calls for node in shop.nodes.values())

    async def shown():
        answer = await get_nodes(
            GetNodes(), nodes=shop.built.keeping, desired=shop.built.keepers[0].pushing._desired
        )
        found = {(each.health, each.users, each.wanted, each.behind) for each in answer.nodes}
        return found == {("up", 3, 3, 0)}

    await drain(shown, what="every node shown as up and in step")


async def test_a_node_that_is_off_is_left_alone_and_compared_when_it_is_back(shop, soon):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    await shop.handle(SetNode(node="us-1", state="off", actor="op"))

    async def emptied():
        return await shop.fetch("SELECT emptied FROM nodes WHERE name = 'us-1'") == [(True,)]

    await drain(emptied, what="the node emptied")
    calls = changes_of(node)

    await shop.grant(2)
    await shop.confirmed("eu-1", "eu-2")
    await soon()
    assert changes_of(node) == calls
    assert not node.held
    await shop.handle(SetNode(node="us-1", state="draining", actor="op"))

    await shop.in_step()


def changes_of(node):
    return [call for call in node.calls if call in ("put_set", "change")]


async def test_two_replicas_keep_a_node_between_them_and_one_takes_over(open_shop):
    nodes = {"us-1": MemoryNode("us-1", SystemClock())}
    async with open_shop(nodes) as second:
        async with open_shop(nodes) as first:
            await first.grant(1)
            await second.grant(2)
            await first.in_step()
            keepers = [each for shop in (first, second) for each in shop.built.keepers]
            # A busy machine may renew the lease too late: then for a moment it is nobody's.
            await drain(lambda: sum(each.holds for each in keepers) == 1, what="one that keeps it")
        await second.grant(3)
        await second.in_step()

    assert len(nodes["us-1"].held) == 3


async def test_counters_of_nodes_reach_the_subscription(shop):
    await shop.grant(1)
    await shop.in_step()
    [email] = await shop.wanted()
    for node in shop.nodes.values():
        node.bytes_by_email = {email: 1_000, "stranger": 5}
        node.addresses = {email: 2}

    async def counted():
        return await shop.fetch("SELECT used_bytes FROM subscriptions") == [(3_000,)]

    await drain(counted, what="3,000 bytes")
    await asyncio.sleep(0.5)
    assert await counted()


async def test_a_skewed_clock_is_alarmed(shop):
    shop.nodes["us-1"].skew_seconds = 90

    await shop.alarmed("us-1", errors.NODE_CLOCK_SKEW)
