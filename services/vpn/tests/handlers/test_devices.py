"""The soft limit of devices: counted honestly, told in time, to everybody."""

from dataclasses import replace

from contracts.vpn import REMINDER_DEVICES, AccessReminded
from vpn.adapters.postgres_traffic import PostgresTraffic
from vpn.handlers.count_traffic import count_devices


async def online(counter, node, devices, users=(7,)):
    """One reading of a node; what it leads to."""
    ids = {(await counter.row(user)).id: devices for user in users}
    parts = {"books": counter.books, "traffic": PostgresTraffic(), "terms": counter.terms}
    await counter.run(count_devices, node, ids, **parts)
    return counter.emitted


async def over(counter, *nodes, devices):
    """For longer than a phone needs to change networks."""
    told = []
    for _ in range(5):
        for node in nodes:
            told += await online(counter, node, devices)
        await counter.later(minutes=4)
    return told


async def test_devices_over_the_limit_for_long_are_told_once_a_day(counter, find):
    await counter.grant()
    assert await online(counter, "eu-1", 2) == []

    told = find(AccessReminded, await over(counter, "eu-1", devices=3))

    assert (told.kind, told.limit) == (REMINDER_DEVICES, 2)
    assert await over(counter, "eu-1", devices=3) == []
    await counter.later(days=1)
    find(AccessReminded, await online(counter, "eu-1", 3))
    assert await online(counter, "eu-1", 0) == []
    assert (await counter.row()).devices_over_since is None


async def test_one_device_with_connections_to_two_nodes_is_one(counter):
    await counter.grant()

    assert await over(counter, "eu-1", "us-1", devices=2) == []

    assert (await counter.row()).devices_over_since is None


async def test_a_plan_without_a_limit_forgets_that_there_were_too_many(counter, find):
    await counter.grant()
    find(AccessReminded, await over(counter, "eu-1", devices=3))

    await counter.grant("vpn_eu")

    assert (await counter.row()).devices_over_since is None
    assert await over(counter, "eu-1", devices=3) == []


async def test_what_an_older_release_left_behind_is_cleared(counter):
    await counter.grant("vpn_eu")
    await counter.execute("UPDATE subscriptions SET devices_over_since = $1", counter.now)

    await online(counter, "eu-1", 3)

    assert (await counter.row()).devices_over_since is None


async def test_everybody_is_told_however_many_they_are(counter):
    users = range(1, 6)
    for user in users:
        await counter.grant(user_id=user)
    counter.terms = replace(counter.terms, rows_max=2)

    told = []
    for _ in range(10):
        told += await online(counter, "eu-1", 9, users)
        await counter.later(minutes=4)

    assert sorted(each.user_id for each in told) == list(users)
