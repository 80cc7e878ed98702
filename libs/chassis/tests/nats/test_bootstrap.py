import asyncio
import os
import sys
from uuid import uuid4

import pytest

from chassis import bootstrap
from chassis.bootstrap import BootstrapError, difference
from chassis.broker import Broker
from chassis.testing import drain
from contracts import topology
from devstack.testing import private_nats

FEW = ("BILLING", "JOBS", "EVENTS")


async def test_an_empty_server_gets_the_whole_topology(broker: Broker) -> None:
    changes = await bootstrap.apply(broker)

    streams, consumers = len(topology.streams()), len(topology.consumers())
    assert len(changes) == streams + consumers
    assert changes[0] == "stream GATEWAY created"
    assert "consumer JOBS/image-priority created" in changes
    jobs = (await broker.api("CONSUMER.INFO.JOBS.image-priority"))["config"]
    assert (jobs["priority_policy"], jobs["priority_groups"]) == ("prioritized", ["jobs"])


async def test_applying_again_changes_nothing(broker: Broker) -> None:
    await bootstrap.apply(broker)

    assert await bootstrap.apply(broker) == []


async def test_a_dry_run_only_tells(broker: Broker) -> None:
    told = await bootstrap.apply(broker, only=FEW, dry_run=True)

    assert (await broker.api("STREAM.NAMES"))["total"] == 0
    assert told == await bootstrap.apply(broker, only=FEW)


async def test_a_changed_limit_is_updated_and_named(broker: Broker) -> None:
    await bootstrap.apply(broker, only=FEW)

    changes = await bootstrap.apply(broker, only=FEW, max_bytes={"JOBS": 12_345_678})

    assert changes == [f"stream JOBS updated: max_bytes {topology.GIB} -> 12345678"]
    assert await bootstrap.apply(broker, only=FEW, max_bytes={"JOBS": 12_345_678}) == []


async def test_drift_is_brought_back_and_the_rest_is_left_alone(broker: Broker) -> None:
    await bootstrap.apply(broker, only=FEW)
    config = (await broker.api("STREAM.INFO.BILLING"))["config"]
    drifted = config | {"max_age": 1_000_000_000_000, "description": "an operator's note"}
    await broker.api("STREAM.UPDATE.BILLING", drifted)
    consumer = (await broker.api("CONSUMER.INFO.JOBS.image-priority"))["config"]
    changed = consumer | {"max_ack_pending": 7, "metadata": {"note": "kept"}}
    await broker.api(
        "CONSUMER.CREATE.JOBS.image-priority", {"stream_name": "JOBS", "config": changed}
    )

    changes = await bootstrap.apply(broker, only=FEW)

    assert changes == [
        "stream BILLING updated: max_age 1000000000000 -> 0",
        "consumer JOBS/image-priority updated: max_ack_pending 7 -> 1000",
    ]
    assert (await broker.api("STREAM.INFO.BILLING"))["config"][
        "description"
    ] == "an operator's note"
    after = (await broker.api("CONSUMER.INFO.JOBS.image-priority"))["config"]
    assert after["metadata"]["note"] == "kept"
    assert after["priority_policy"] == "prioritized"


async def test_another_set_of_filters_replaces_the_one_before(broker: Broker) -> None:
    await bootstrap.apply(broker, only=FEW)
    config = (await broker.api("CONSUMER.INFO.EVENTS.billing"))["config"]
    del config["filter_subjects"]
    await broker.api(
        "CONSUMER.CREATE.EVENTS.billing",
        {"stream_name": "EVENTS", "config": config | {"filter_subject": "vpn.evt.>"}},
    )

    (change,) = await bootstrap.apply(broker, only=FEW)

    assert "consumer EVENTS/billing updated" in change
    assert await bootstrap.apply(broker, only=FEW) == []


async def test_what_the_server_cannot_change_is_refused_clearly(broker: Broker) -> None:
    config = topology.stream_config(topology.streams()[1]) | {"retention": "limits"}
    assert config["name"] == "BILLING"
    await broker.api("STREAM.CREATE.BILLING", config)
    await broker.publish("billing.cmd.place_order.v1", b"kept")

    with pytest.raises(
        BootstrapError, match=r'stream BILLING \(retention "limits" -> "workqueue"\)'
    ):
        await bootstrap.apply(broker)

    # The rest is applied nevertheless, and nothing is lost.
    assert (await broker.api("STREAM.INFO.BILLING"))["state"]["messages"] == 1
    assert await broker.api("STREAM.INFO.JOBS")


async def test_a_limit_for_an_unknown_stream_is_a_mistake(broker: Broker) -> None:
    with pytest.raises(BootstrapError, match="JOBZ"):
        await bootstrap.apply(broker, max_bytes={"JOBZ": 1})


async def test_applying_under_load_loses_and_doubles_nothing(
    broker: Broker, connect, nats_url
) -> None:
    await bootstrap.apply(broker, only=FEW)
    publisher, consumer = await connect(nats_url), await connect(nats_url)
    pull = consumer.consume("BILLING", "billing", batch=64)
    seen: list[bytes] = []

    async def consume() -> None:
        async for batch in pull:
            seen.extend(each.body for each in batch)
            await consumer.ack_all(batch)

    async def publish() -> None:
        for n in range(300):
            await publisher.publish(
                "billing.cmd.place_order.v1", b"%d" % n, {"Nats-Msg-Id": uuid4().hex}
            )

    consuming = asyncio.get_running_loop().create_task(consume())
    publishing = asyncio.get_running_loop().create_task(publish())
    rounds = 0
    while not publishing.done():
        # Back and forth, so that there is something to update each time.
        await bootstrap.apply(broker, only=FEW, max_bytes={"BILLING": topology.GIB + rounds % 2})
        rounds += 1
    await publishing

    await drain(lambda: len(seen) == 300)
    assert rounds >= 2
    assert seen == [b"%d" % n for n in range(300)]
    await pull.stop()
    await consuming


async def test_delayed_messages_survive_an_update(broker: Broker) -> None:
    from datetime import timedelta

    await bootstrap.apply(broker, only=FEW)
    await broker.publish("billing.cmd.place_order.v1", b"x")
    pull = broker.consume("BILLING", "billing")
    (delivery,) = await pull.next()
    await delivery.nak(timedelta(seconds=0.5))
    await bootstrap.apply(broker, only=FEW, max_bytes={"BILLING": topology.GIB * 2})

    (again,) = await asyncio.wait_for(pull.next(), 30)
    assert again.deliveries == 2
    await pull.stop()


async def test_the_command_prints_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    async with private_nats() as server:
        settings = bootstrap.Settings(nats_url=server.url, max_bytes={"JOBS": 1_000_000})

        assert await bootstrap.run(settings, dry_run=True) == 0
        assert "would be: stream JOBS created" in capsys.readouterr().out
        assert await bootstrap.run(settings) == 0
        assert "\nstream JOBS created\n" in capsys.readouterr().out
        assert await bootstrap.run(settings) == 0
        assert capsys.readouterr().out.endswith("nothing to change\n")

        settings.replicas = 3
        assert await bootstrap.run(settings) == 1
        told = capsys.readouterr().err
        assert told.startswith("bootstrap failed")
        assert "num_replicas 1 -> 3" in told


async def test_the_command_reads_its_settings_from_the_environment() -> None:
    async with private_nats() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "chassis.bootstrap",
            env={**os.environ, "NATS_URL": server.url, "VITRINE_MAX_BYTES": '{"NOWHERE": 1}'},
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        _, told = await process.communicate()

        assert process.returncode == 1
        assert b"do not exist: ['NOWHERE']" in told


def test_what_the_server_leaves_out_is_no_difference() -> None:
    assert difference({}, {"max_age": 0, "allow_direct": False}) == ""
    assert difference({"max_age": 5}, {"max_age": 0}) == "max_age 5 -> 0"
    assert difference({}, {"max_age": 5}) == "max_age null -> 5"
