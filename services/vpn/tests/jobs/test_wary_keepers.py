"""What keepers do about nodes that go on being wrong: patience that grows, and one alarm."""

import asyncio
import math
from datetime import timedelta

from chassis.clock import SystemClock
from chassis.testing import drain
from contracts import errors
from contracts.vpn import CheckNodes, RotateKey, SetNode
from vpn.adapters.nodes.memory import MemoryNode
from vpn.jobs import counting
from vpn.node_api import TrafficPage
from vpn.ports.nodes import NodeUnreachableError
from vpn.testing import somebody

BIG = 5 << 30


async def off(shop, node="us-1"):
    await shop.handle(SetNode(node=node, state="off", actor="op"))

    async def emptied():
        return await shop.fetch("SELECT emptied FROM nodes WHERE name = $1", node) == [(True,)]

    await drain(emptied, what="the node emptied")


async def health(shop, node):
    [found] = await shop.fetch("SELECT health, detail FROM nodes WHERE name = $1", node)
    return found


async def check(shop):
    await shop.handle(CheckNodes(due_at=SystemClock().now()))


async def test_a_liar_is_tried_again_ever_more_seldom_and_told_of_once(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    node.faults.lies = True
    began, before = asyncio.get_running_loop().time(), node.calls.count("put_set")
    await shop.grant(2)

    await drain(
        lambda: node.calls.count("put_set") >= before + 4,
        within=timedelta(seconds=60),
        what="four tries to mend it",
    )

    # At once, and then after 1, 2, 4 ... seconds at most, a fifth of it less at least.
    assert asyncio.get_running_loop().time() - began >= 0.8 * (1 + 2 + 4)
    assert [code for _, code in await shop.alarms()] == [errors.NODE_LIES]


async def test_who_buys_while_a_node_lies_costs_it_no_comparison(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    node.faults.lies = True
    await shop.grant(2)
    await shop.alarmed("us-1", errors.NODE_LIES)
    clock = asyncio.get_running_loop().time
    began, before = clock(), node.calls.count("put_set")

    for user in range(3, 9):
        changes = node.calls.count("change")
        await shop.grant(user)
        await drain(lambda seen=changes: node.calls.count("change") > seen, what="it sent on")

    # As many as come by and by without anybody who buys: after 1, 2, 4 ... seconds, a fifth less.
    by_and_by = 1 + math.log2(1 + (clock() - began) / 0.8)
    assert node.calls.count("put_set") <= before + by_and_by
    node.faults.lies = False
    await shop.in_step()


async def test_a_node_that_is_wrong_every_other_moment_is_told_of_once(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    boot_id = node.boot_id
    for _ in range(3):
        node.boot_id = "\x00"
        await drain(lambda: _is(shop, "sick"), what="the nonsense noticed")
        node.boot_id = boot_id
        await drain(lambda: _is(shop, "up"), what="sense again")

    assert [code for _, code in await shop.alarms()] == [errors.NODE_LIES]


async def _is(shop, wanted):
    return (await health(shop, "us-1"))[0] == wanted


async def test_a_core_that_does_not_run_for_long_is_told_of(shop):
    await shop.grant(1)
    await shop.in_step()
    shop.nodes["us-1"].core_running = False

    await shop.alarmed("us-1", errors.NODE_SICK)

    assert await health(shop, "us-1") == ("sick", "its core does not run")


async def test_people_put_back_on_a_node_that_is_off_are_taken_off_and_told_of(shop):
    """A disk from a backup: whoever was refunded or rotated since would pass there for ever."""
    await shop.grant(1, 2)
    await shop.in_step()
    node = shop.nodes["us-1"]
    backup = dict(node.held)
    await off(shop)
    node.foreign = shop.strangers(2)
    strangers = dict(node.foreign)

    node.corrupt(backup)
    node.restart()
    await shop.alarmed("us-1", errors.NODE_NOT_EMPTY)

    await drain(lambda: not node.held, what="the node emptied again")
    assert node.foreign == strangers
    told = [code for _, code in await shop.alarms()]
    assert told.count(errors.NODE_NOT_EMPTY) == 1


async def test_a_machine_declared_gone_that_comes_back_full_is_emptied(shop):
    await shop.grant(1, 2)
    await shop.in_step()
    node = shop.nodes["us-1"]
    node.faults.away = True
    await shop.handle(SetNode(node="us-1", state="gone", actor="op"))
    await check(shop)
    node.faults.away = False

    await shop.alarmed("us-1", errors.NODE_NOT_EMPTY)

    await drain(lambda: not node.held, what="the node emptied")


async def test_a_refilled_node_is_waited_for_before_a_key_is_called_dead(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    backup = dict(node.held)
    await off(shop)
    node.corrupt(backup)
    node.faults.lies = True
    await shop.alarmed("us-1", errors.NODE_NOT_EMPTY)

    await shop.handle(RotateKey(user_id=1))

    await shop.confirmed("eu-1", "eu-2")
    await shop.rotation_told()
    [told] = await shop.rotations()
    assert (told.confirmed, told.waiting_nodes) == (False, 1)
    node.faults.lies = False

    await shop.rotation_confirmed()
    assert not node.held


async def test_an_emptied_node_may_be_switched_off_without_an_alarm(shop, soon):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    await off(shop)
    node.faults.away = True
    looked = node.calls.count("state")

    await check(shop)
    await drain(lambda: node.calls.count("state") > looked, what="a look at it")
    await soon()

    assert await shop.alarms() == []


async def test_an_empty_file_of_nodes_takes_nobody_off_any(shop):
    """One replica started without its file must not have the others empty every node."""
    await shop.grant(1)
    await shop.in_step()

    await shop.built.keeping.register(())

    assert set(await shop.fetch("SELECT state FROM nodes")) == {("active",)}


async def test_a_node_that_comes_back_to_the_file_is_alarmed_about_anew(open_shop):
    nodes = {name: MemoryNode(name, SystemClock()) for name in ("eu-1", "us-1")}
    async with open_shop(nodes) as shop:
        nodes["us-1"].faults.away = True
        await shop.alarmed("us-1", errors.NODE_DOWN)
    async with open_shop({"eu-1": nodes["eu-1"]}) as shop:
        assert await shop.fetch("SELECT node FROM node_alarms") == []
    async with open_shop(nodes) as shop:

        async def twice():
            return (await shop.alarms()).count(("us-1", errors.NODE_DOWN)) == 2

        await drain(twice, what="a second alarm")


class Unlisted(MemoryNode):
    """Whatever it holds, its list does not come in time."""

    async def users(self):
        self.calls.append("users")
        raise NodeUnreachableError("too many to list")


async def test_a_node_that_cannot_be_listed_is_served_and_shown_like_any(open_shop, soon):
    nodes = {"us-1": Unlisted("us-1", SystemClock())}
    async with open_shop(nodes) as shop:
        await shop.grant(1)
        await shop.in_step()
        nodes["us-1"].restart()
        await drain(lambda: nodes["us-1"].calls.count("users") > 1, what="its list asked for")
        await shop.grant(2)
        await shop.in_step()
        await soon()

        assert await health(shop, "us-1") == ("up", "")
        assert await shop.alarms() == []


class Endless(MemoryNode):
    """Its pages never end."""

    async def traffic(self, after: str = "") -> TrafficPage:
        self.calls.append("traffic")
        return TrafficPage([], next=after + "a")


async def test_pages_that_never_end_are_not_read_for_ever(open_shop, monkeypatch):
    monkeypatch.setattr(counting, "PAGES_MAX", 5)
    nodes = {"eu-1": MemoryNode("eu-1", SystemClock()), "us-1": Endless("us-1", SystemClock())}
    async with open_shop(nodes) as shop:
        await shop.alarmed("us-1", errors.NODE_LIES)
        await shop.grant(1)
        await shop.in_step()

        async def up():
            return (await health(shop, "eu-1"))[0] == "up"

        await drain(up, what="the honest node is up")


async def test_another_disk_s_counters_bill_nothing_twice_and_lose_one_reading(shop):
    await shop.grant(1)
    await shop.in_step()
    [email] = await shop.wanted()
    node = shop.nodes["us-1"]

    async def until_used(wanted):
        async def done():
            [(total,)] = await shop.fetch("SELECT sum(used_bytes)::bigint FROM subscriptions")
            return total == wanted

        await drain(done, what=f"{wanted} bytes used")

    node.epoch, node.bytes_by_email = "old-disk", {email: BIG}
    await until_used(BIG)
    node.epoch, node.bytes_by_email = "new-disk", {email: 100}
    before = node.calls.count("traffic")
    await drain(lambda: node.calls.count("traffic") > before + 2, what="the first reading of it")
    node.bytes_by_email = {email: 150}
    await until_used(BIG + 50)

    node.epoch, node.bytes_by_email = "old-disk", {email: BIG + 7}
    await until_used(BIG + 57)
    assert await shop.alarms() == []


async def test_strangers_on_an_emptied_node_are_told_of_and_left(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    stranger = somebody(2, SystemClock().now() + timedelta(days=1))
    node.corrupt({**node.held, stranger.email: stranger})

    await off(shop)

    await shop.alarmed("us-1", errors.NODE_FOREIGN_USERS)
    assert node.held == {stranger.email: stranger}
