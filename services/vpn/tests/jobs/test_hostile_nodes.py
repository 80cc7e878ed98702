"""Nodes that lie, are restored or answer nonsense: not believed, and alone in their trouble."""

from datetime import timedelta

import pytest

from chassis.clock import SystemClock
from chassis.testing import drain
from contracts import errors
from contracts.vpn import RotateKey, SetNode
from vpn.adapters.nodes.memory import MemoryNode
from vpn.testing import somebody

BIG = 100_000_000_000


async def used(shop):
    [(total,)] = await shop.fetch("SELECT sum(used_bytes)::bigint FROM subscriptions")
    return total


async def until_used(shop, wanted):
    async def done():
        return await used(shop) == wanted

    await drain(done, what=f"{wanted} bytes used")


async def until_asked(node, call, times=2):
    """Wait for calls that began after this moment to be over."""
    before = node.calls.count(call)
    await drain(lambda: node.calls.count(call) > before + times, what=f"more calls of {call}")


async def health(shop, node):
    [(found,)] = await shop.fetch("SELECT health FROM nodes WHERE name = $1", node)
    return found


async def test_an_older_end_beside_a_stranger_is_mended(shop):
    """A machine restored from a snapshot: who renewed since must not be cut at the old end."""
    await shop.grant(1, 2, 3)
    await shop.in_step()
    node = shop.nodes["us-1"]
    snapshot, generation = dict(node.held), node.generation
    await shop.grant(1)
    await shop.in_step()
    stranger = somebody(2, SystemClock().now() + timedelta(days=1))
    node.corrupt({**snapshot, stranger.email: stranger})
    node.generation = generation
    node.restart()

    await shop.alarmed("us-1", errors.NODE_FOREIGN_USERS)
    await shop.grant(9)

    async def mended():
        return (await shop.wanted()).items() <= node.held.items()

    await drain(mended, what="everybody of ours with the right end")
    assert stranger.email in node.held

    await shop.handle(RotateKey(user_id=1))
    await shop.rotation_confirmed()


async def test_an_absurd_generation_is_not_followed(shop):
    await shop.grant(1)
    await shop.in_step()
    shop.nodes["us-1"].generation = 2**63 - 2

    await shop.alarmed("us-1", errors.NODE_LIES)
    await shop.grant(2)
    await shop.confirmed("eu-1", "eu-2")

    [(generation,)] = await shop.fetch("SELECT generation FROM desired_head")
    assert generation < 100
    assert await health(shop, "us-1") == "sick"


async def test_a_liar_confirms_no_rotation(shop):
    await shop.grant(1)
    await shop.in_step()
    shop.nodes["us-1"].faults.lies = True

    await shop.handle(RotateKey(user_id=1))
    await shop.confirmed("eu-1", "eu-2")
    await shop.rotation_told()

    [told] = await shop.rotations()
    assert (told.confirmed, told.waiting_nodes) == (False, 1)


async def test_counters_that_fall_are_not_counted_again(shop):
    await shop.grant(1)
    await shop.in_step()
    [email] = await shop.wanted()
    node = shop.nodes["us-1"]
    node.bytes_by_email = {email: BIG}
    await until_used(shop, BIG)

    node.bytes_by_email = {email: BIG - 1}
    await until_asked(node, "traffic")
    assert await used(shop) == BIG
    assert await shop.alarms() == []

    node.bytes_by_email = {email: BIG + 4}
    await until_used(shop, BIG + 5)
    node.bytes_by_email = {email: 7}
    await shop.alarmed("us-1", errors.NODE_LIES)
    assert await used(shop) == BIG + 5


@pytest.mark.parametrize("counter", [2**63, -1])
async def test_a_counter_that_cannot_be_is_left_out_and_the_others_count(shop, counter):
    await shop.grant(1, 2)
    await shop.in_step()
    one, other = await shop.wanted()
    node = shop.nodes["us-1"]
    node.bytes_by_email = {one: counter, other: 1_000}
    node.addresses = {one: 2**40}

    await until_used(shop, 1_000)
    await shop.alarmed("us-1", errors.NODE_LIES)


async def test_a_node_that_is_off_holds_nobody_and_is_waited_for(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    node.faults.away = True
    await shop.handle(SetNode(node="us-1", state="off", actor="op"))
    await shop.handle(RotateKey(user_id=1))
    await shop.rotation_told()
    assert not (await shop.rotations())[-1].confirmed
    assert node.held

    node.faults.away = False

    await shop.rotation_confirmed()
    assert not node.held


async def test_a_node_that_left_the_file_is_waited_for_until_it_is_declared_gone(open_shop):
    nodes = {name: MemoryNode(name, SystemClock()) for name in ("eu-1", "us-1")}
    async with open_shop(nodes) as shop:
        await shop.grant(1)
        await shop.in_step()
    async with open_shop({"eu-1": nodes["eu-1"]}) as shop:
        await shop.handle(SetNode(node="us-1", state="active", actor="op"))
        assert dict(await shop.fetch("SELECT name, state FROM nodes"))["us-1"] == "off"
        await shop.handle(RotateKey(user_id=1))
        await shop.rotation_told()
        assert not (await shop.rotations())[-1].confirmed

        await shop.handle(SetNode(node="us-1", state="gone", actor="op"))

        await shop.rotation_confirmed()


async def test_text_that_is_none_makes_one_node_sick_and_no_other(shop):
    await shop.grant(1)
    await shop.in_step()
    node = shop.nodes["us-1"]
    boot_id, node.boot_id = node.boot_id, "a\x00b"

    await shop.alarmed("us-1", errors.NODE_LIES)
    await shop.grant(2)
    await shop.confirmed("eu-1", "eu-2")
    assert await health(shop, "us-1") == "sick"

    node.boot_id = boot_id
    await shop.in_step()
