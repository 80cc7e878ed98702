"""An older word on a node, or on a person's options, that comes after a newer one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chassis.clock import id_floor, new_id
from contracts import errors
from contracts.access import AccessNotBought, RenewAccess
from contracts.payments import PaymentCredited
from contracts.vpn import AccessChanged, RevokeAccess, SetAccessOptions, SetNode
from vpn.adapters.postgres_nodes import NodeKeeping
from vpn.adapters.postgres_traffic import PostgresTraffic
from vpn.domain.plans import GIB
from vpn.handlers.count_traffic import count_traffic
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


async def test_counters_that_were_read_earlier_and_come_later_count_nothing(counter, ago):
    """A keeper paused between reading and writing, another one took the node: no byte twice."""
    await counter.grant()
    one = await counter.row()
    parts = {"books": counter.books, "traffic": PostgresTraffic(), "terms": counter.terms}

    async def read(gib, seconds_ago, node="eu-1"):
        seen = {one.id: gib * GIB}
        await counter.run(count_traffic, node, seen, f"disk of {node}", ago(seconds_ago), **parts)

    await read(10, 40)
    await read(40, 20)
    await read(20, 30)
    await read(41, 10)
    await read(2, 35, node="us-1")

    assert (await counter.row()).used_bytes == 43 * GIB


@pytest.mark.parametrize("order", ["as said", "the other way round"])
async def test_a_top_up_after_the_last_refusal_renews_in_whatever_order_they_come(
    counter, ago, find, order
):
    counter.terms = replace(counter.terms, renew_attempts_max=1)
    await counter.grant()
    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True, reminders=False))
    await counter.later(days=29, seconds=1)
    row = await counter.row()
    asked = find(RenewAccess, await counter.check())
    refused = AccessNotBought(
        order_id=asked.order_id,
        user_id=7,
        plan_id="vpn_30",
        code=errors.INSUFFICIENT_CREDITS,
        renewal=True,
        subscription_id=row.id,
        period_end=row.until,
    )
    topped_up = PaymentCredited(
        payment_id=new_id(),
        charge_id="c",
        user_id=7,
        provider="stars",
        product="pack",
        product_id="p",
        credits=300,
        amount_minor=275,
        currency="XTR",
        available_credits=300,
    )
    news = [(refused, ago(20)), (topped_up, ago(10))]

    told = []
    for event, said in news if order == "as said" else reversed(news):
        told += await counter.handle(event, said=said)

    assert find(RenewAccess, told).period_end == row.until
