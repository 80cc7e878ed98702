"""What a link says of a real row: what nodes do, in the person's language."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from contracts import errors
from contracts.vpn import AccessRefused, SetAccessOptions, SetNode
from vpn.adapters.postgres_reads import PostgresReads
from vpn.domain.formats.clients import Format
from vpn.domain.formats.headers import headers
from vpn.domain.formats.render import render
from vpn.domain.links import REASON_EXPIRED, REASON_NO_NODES, Shop
from vpn.jobs.sweeps import apply_grace
from vpn.ports.registry import NodeConfig

GOLDEN = Path(__file__).parents[1] / "golden/links"
SHOP = Shop(title="Витрина, VPN", base_url="https://sub.example.com")
LINK = {"address": "vpn.example.org", "port": 443}
NODES = {
    name: NodeConfig(name=name, region=name[:2], url="https://x", link=LINK)
    for name in ("eu-1", "eu-2", "us-1")
}
GRACE = timedelta(days=3)


async def opened(counter, user_id=7):
    reads = PostgresReads(counter.database, NODES, counter.terms, counter.clock)
    return await reads.by_token((await counter.row(user_id)).link)


async def test_the_last_node_of_a_plan_stays_in_its_links_until_it_is_off(counter, find):
    await counter.grant("vpn_eu")
    await counter.execute("UPDATE nodes SET health = 'up'")

    async def named_after(state, node="eu-1"):
        await counter.handle(SetNode(node=node, state=state, actor="op", reason="r"))
        return [each.name for each in (await opened(counter)).nodes]

    assert await named_after("active") == ["eu-1"]
    assert await named_after("draining") == ["eu-1"]
    refused = find(AccessRefused, await counter.grant("vpn_eu", user_id=8))
    assert refused.code == errors.NO_NODES
    assert await named_after("off") == []
    assert (await opened(counter)).reason(counter.now) == REASON_NO_NODES


async def test_who_can_move_from_a_draining_node_does(counter):
    await counter.grant("vpn_eu")
    await counter.execute("INSERT INTO nodes (name, region) VALUES ('eu-2', 'eu')")
    await counter.execute("UPDATE nodes SET health = 'up'")
    await counter.execute("UPDATE nodes SET state = 'draining' WHERE name = 'eu-1'")
    assert [each.name for each in (await opened(counter)).nodes] == ["eu-2"]

    await counter.execute("UPDATE nodes SET health = 'down' WHERE name = 'eu-2'")

    assert [each.name for each in (await opened(counter)).nodes] == ["eu-1"]


@pytest.mark.parametrize("kind", ["links.txt", "clash-meta.yaml", "sing-box.json"])
async def test_apps_are_told_in_the_language_the_person_chose(counter, kind):
    formats = {
        "links.txt": Format.LINKS,
        "clash-meta.yaml": Format.CLASH_META,
        "sing-box.json": Format.SING_BOX,
    }
    await counter.grant()
    await counter.handle(SetAccessOptions(user_id=7, language="ru"))
    await counter.handle(SetAccessOptions(user_id=7, reminders=False))
    await counter.later(days=31)

    view = await opened(counter)

    text = render(formats[kind], view, SHOP, counter.now).text
    assert text == (GOLDEN / f"expired-{kind}").read_text(encoding="utf-8")


async def test_a_language_is_kept_of_who_buys_later(counter):
    await counter.handle(SetAccessOptions(user_id=7, language="ru"))
    await counter.grant()

    assert (await opened(counter)).language == "ru"


async def test_traffic_is_said_to_be_refilled_when_it_will_be(counter):
    await counter.grant()

    async def refill():
        said = dict(headers(await opened(counter), SHOP, "https://x", counter.now))
        return said.get("subscription-refill-date")

    assert await refill() is None, "nothing renews it"
    await counter.handle(SetAccessOptions(user_id=7, auto_renew=True))
    assert await refill() == str(int((await counter.row()).until.timestamp()))
    await counter.later(days=30)
    assert await refill() is None, "its end is over"


async def test_between_the_end_and_its_processing_a_link_says_what_nodes_do(counter):
    counter.terms = replace(counter.terms, grace_policy="on")
    await counter.grant()
    until = (await counter.row()).until

    async def reason_at(moment):
        counter.clock.moment = moment
        view = await opened(counter)
        return view.reason(moment), view.note(moment)

    await counter.execute("UPDATE nodes SET health = 'up'")
    assert await reason_at(until + timedelta(seconds=5)) == ("", "grace")
    held_until = (await counter.desired()).expires_at
    assert (await reason_at(held_until))[0] == REASON_EXPIRED
    assert held_until == until + GRACE


async def test_a_grace_policy_reaches_who_has_access_when_the_service_starts(counter):
    counter.terms = replace(counter.terms, rows_max=2)
    for user in range(1, 4):
        await counter.grant(user_id=user)
    await counter.grant("vpn_trial", user_id=4)

    async def after(policy):
        """How long past their end nodes let people pass."""
        counter.terms = replace(counter.terms, grace_policy=policy)
        changed = await apply_grace(counter.outbox, books=counter.books, terms=counter.terms)
        ends = [
            (await counter.desired(user)).expires_at - (await counter.row(user)).until
            for user in range(1, 5)
        ]
        return changed, ends

    none = timedelta(0)
    assert await after("on") == (3, [GRACE, GRACE, GRACE, none])
    assert await after("on") == (0, [GRACE, GRACE, GRACE, none])
    assert await after("off") == (3, [none] * 4)


async def test_whose_grace_has_begun_keeps_it_when_the_policy_ends(counter):
    counter.terms = replace(counter.terms, grace_policy="on")
    await counter.grant()
    await counter.later(days=30)
    await counter.check()
    counter.terms = replace(counter.terms, grace_policy="off")

    assert await apply_grace(counter.outbox, books=counter.books, terms=counter.terms) == 0

    assert (await counter.desired()).expires_at == (await counter.row()).grace_until
