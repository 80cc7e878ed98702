"""An older word on a node, or on a person's options, that comes after a newer one."""

from datetime import timedelta

import pytest

from chassis.clock import id_floor, new_id
from contracts.vpn import AccessChanged, RevokeAccess, SetAccessOptions, SetNode
from vpn.adapters.postgres_nodes import NodeKeeping
from vpn.ports.registry import NodeConfig

LINK = {"address": "vpn.example.org", "port": 443}


@pytest.fixture
def ago(counter):
    return lambda seconds: id_floor(counter.now - timedelta(seconds=seconds))


async def nodes(counter):
    rows = await counter.fetch("SELECT name, state, state_reason FROM nodes ORDER BY name")
    return [tuple(row) for row in rows]


async def test_a_node_stays_as_the_operator_said_last(counter, ago):
    names = ("eu-1", "us-1")
    await NodeKeeping(counter.database).register(
        [NodeConfig(name=name, region=name[:2], url="https://x", link=LINK) for name in names]
    )
    off = SetNode(node="eu-1", state="off", actor="op", reason="it smokes")
    again = SetNode(node="eu-1", state="active", actor="op", reason="mended")
    other = SetNode(node="us-1", state="draining", actor="op", reason="older, of another")

    await counter.handle(again, said=ago(10))
    await counter.handle(off, said=ago(20))
    await counter.handle(other, said=ago(30))

    assert await nodes(counter) == [
        ("eu-1", "active", "mended"),
        ("us-1", "draining", "older, of another"),
    ]
    await counter.handle(off, said=ago(5))
    assert (await nodes(counter))[0] == ("eu-1", "off", "it smokes")


async def test_each_option_stays_as_it_was_chosen_last(counter, ago):
    await counter.grant()
    off = SetAccessOptions(user_id=7, auto_renew=False, language="ru")
    on = SetAccessOptions(user_id=7, auto_renew=True, reminders=False, language="en")

    await counter.handle(off, said=ago(10))
    events = await counter.handle(on, said=ago(20))

    assert not [each for each in events if isinstance(each, AccessChanged) and each.auto_renew]
    assert (await counter.row()).auto_renew is False
    # What nobody chose since is taken from it all the same.
    person = await counter.fetch("SELECT reminders, language FROM people")
    assert [tuple(row) for row in person] == [(False, "ru")]


async def test_another_persons_options_are_their_own(counter, ago):
    await counter.grant()
    await counter.grant(user_id=8)

    await counter.handle(SetAccessOptions(user_id=7, auto_renew=False), said=ago(10))
    await counter.handle(SetAccessOptions(user_id=8, auto_renew=True), said=ago(20))

    assert (await counter.row(8)).auto_renew is True


async def test_a_renewal_chosen_before_a_refund_is_not_switched_on_after_it(counter, ago):
    """Or it would be charged for again."""
    order_id = new_id()
    await counter.grant()
    await counter.grant(order_id=order_id)

    await counter.handle(RevokeAccess(order_id=order_id, user_id=7, refunded=True), said=ago(10))
    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True), said=ago(20))
    assert (await counter.row()).auto_renew is False

    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True), said=ago(5))
    assert (await counter.row()).auto_renew is True
