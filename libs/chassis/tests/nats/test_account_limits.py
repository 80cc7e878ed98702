"""What the account's limits refuse to the right users too, and what we know they can break."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chassis import bootstrap
from chassis.broker import ApiError, Broker
from chassis.key_value import KeyValue
from chassis.objects import Objects
from chassis.testing import drain
from contracts import billing, topology
from contracts.envelope import HEADER_ID
from contracts.permissions import JETSTREAM_LIMITS
from devstack.testing import SecuredNats, secured_nats


@asynccontextmanager
async def user(nats: SecuredNats, name: str) -> AsyncIterator[Broker]:
    broker = await Broker.connect(
        nats.server.url, name=name, identity=nats.identity(name), on_fatal=pytest.fail
    )
    yield broker
    await broker.close()


async def refusal(broker: Broker, verb: str, request: dict) -> str:
    with pytest.raises(ApiError) as raised:
        await broker.api(verb, request)
    return raised.value.description


def stream_config(name: str, **changes: object) -> dict:
    (stream,) = (each for each in topology.streams() if each.name == name)
    return topology.stream_config(stream) | changes


def watching(name: str, **changes: object) -> dict:
    config = {"name": name, "ack_policy": "explicit", "inactive_threshold": 60 * 10**9} | changes
    return {"stream_name": "KV_leases", "config": config, "action": "create"}


async def test_the_account_bounds_what_even_the_right_user_may_make():
    async with secured_nats() as nats:
        async with user(nats, "bootstrap") as maker:
            await bootstrap.apply(maker)
            endless = stream_config("EVENTS", max_bytes=-1)
            assert "max bytes" in await refusal(maker, "STREAM.UPDATE.EVENTS", endless)
        async with user(nats, "gateway") as gateway:
            many = JETSTREAM_LIMITS["max_consumers"]
            verb = "CONSUMER.CREATE.KV_leases."
            waiting = watching("w", max_ack_pending=JETSTREAM_LIMITS["max_ack_pending"] + 1)
            assert "max ack pending" in await refusal(gateway, f"{verb}w", waiting)
            for number in range(many):
                await gateway.api(f"{verb}w{number}", watching(f"w{number}"))
            assert "maximum consumers" in await refusal(gateway, f"{verb}x", watching("x"))


async def stored(broker: Broker, stream: str) -> int:
    return (await broker.api(f"STREAM.INFO.{stream}"))["state"]["messages"]


async def test_accepted_whoever_is_bootstrap_can_empty_a_stream_by_its_limits():
    """docs/security.md says so; the day this fails it has to say something else."""
    async with secured_nats() as nats:
        async with user(nats, "bootstrap") as maker, user(nats, "billing") as shop:
            await bootstrap.apply(maker, only=["EVENTS"])
            await shop.publish(billing.OrderCompleted.subject, b"x", {HEADER_ID: "1"})
            assert await stored(maker, "EVENTS") == 1

            soon = stream_config("EVENTS", max_age=10**8, duplicate_window=10**8)
            await maker.api("STREAM.UPDATE.EVENTS", soon)

            async def empty() -> bool:
                return await stored(maker, "EVENTS") == 0

            await drain(empty)


async def test_accepted_whoever_may_store_media_can_empty_the_bucket_and_a_lease_all_leases():
    """Without the right to purge as well: a rollup of everything does the same."""
    async with secured_nats() as nats:
        async with user(nats, "bootstrap") as maker:
            await bootstrap.apply(maker, only=["OBJ_media", "KV_leases"])
            async with user(nats, "gateway") as gateway, user(nats, "vpn") as vpn:
                async with user(nats, "generator") as generator:
                    await Objects(gateway).put("a", b"1" * 300_000)
                    await generator.api("STREAM.PURGE.OBJ_media")
                    assert await stored(maker, "OBJ_media") == 0
                    await Objects(gateway).put("a", b"1" * 300_000)
                    everything = {"Nats-Rollup": "all", HEADER_ID: "1"}
                    await generator.publish("$O.media.C.x", b"", everything)
                    assert await stored(maker, "OBJ_media") == 1
                await KeyValue(gateway, "leases").put("gateway.replica.x", b"here")
                await vpn.publish("$KV.leases.vpn.node.x", b"", everything)
                assert await KeyValue(gateway, "leases").get("gateway.replica.x") is None
