"""A link that leaked, over a real connection and a real Postgres: replaced, it is nobody's."""

from contracts.vpn import RotateKey
from vpn.adapters.postgres_reads import PostgresReads
from vpn.ports.registry import NodeConfig

LINK = {"address": "vpn.example.org", "port": 443}
NODES = {
    name: NodeConfig(name=name, region=name[:2], url="https://x", link=LINK)
    for name in ("eu-1", "us-1")
}


async def test_the_old_link_is_gone_with_the_key_and_the_new_one_is_served(counter, build):
    await counter.grant()
    reads = PostgresReads(counter.database, NODES, counter.terms, counter.clock)
    stand = await build(links=reads, clock=counter.clock)
    first = await counter.row()
    assert (await stand.ask(f"/sub/{first.link}"))[0] == 200

    await counter.handle(RotateKey(user_id=7))
    second = await counter.row()
    assert (second.link, second.key != first.key) == (first.link, True)
    assert (await stand.ask(f"/sub/{first.link}"))[0] == 200

    await counter.handle(RotateKey(user_id=7, link_too=True))
    third = await counter.row()
    assert third.link != first.link
    assert (await stand.ask(f"/sub/{first.link}"))[0] == 404
    assert (await stand.ask(f"/sub/{first.link}/plain"))[0] == 404
    assert (await stand.ask(f"/sub/{third.link}"))[0] == 200
