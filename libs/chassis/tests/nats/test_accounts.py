"""An account for each service: what may be sent arrives, who listens hears, a reload switches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from chassis import bootstrap
from chassis.background import Background
from chassis.broker import Broker, Delivery, OutgoingMessage
from chassis.key_value import KeyValue, WrongRevisionError
from chassis.puller import TieredPuller
from chassis.testing import drain
from chassis.wire import publish_frame
from contracts import billing, permissions
from contracts.accounts import MODES, SEPARATE, SHARED
from contracts.envelope import HEADER_ID
from contracts.generator import job_subject
from contracts.permissions import USERS
from devstack import nats_security
from devstack.testing import SecuredNats, secured_nats

NO_RESPONDERS = 503
TOLD = tuple(each for subjects in permissions.HINTS.values() for each in subjects)
NOT_ASKED = ("_INBOX_", "$JS.FC.", "$JS.ACK.*.", *(each.split("*")[0] for each in TOLD))
"""What nobody has to listen to, and (settling by the other form of the subject) nobody does."""


@asynccontextmanager
async def users(nats: SecuredNats, *names: str) -> AsyncIterator[list[Broker]]:
    """A connection of each; a missing right fails the test."""
    async with AsyncExitStack() as stack:
        opened = []
        for name in names:
            broker = await Broker.connect(
                nats.server.url, name=name, identity=nats.identity(name), on_fatal=pytest.fail
            )
            stack.push_async_callback(broker.close)
            opened.append(broker)
        yield opened


def sample(subject: str) -> str:
    """A subject that fits a pattern of the permissions."""
    owner = "billing" if subject.startswith("*.rpc.") else "x"
    tokens = [owner if token == "*" else token for token in subject.split(".")]
    if subject.startswith("$JS.ACK."):
        return ".".join((*tokens[:-1], "1.1.1.1.0"))
    return ".".join(tokens).replace(">", "C.x" if subject.startswith("$O.") else "x")


async def unheard(broker: Broker, subjects: set[str]) -> set[str]:
    """To which of them the server says that nobody is there."""
    missing: set[str] = set()
    for subject in subjects:
        reply, answer = broker.nc.expect_reply()

        def told(said: asyncio.Future, subject: str = subject) -> None:
            if not said.exception() and said.result().status == NO_RESPONDERS:
                missing.add(subject)

        answer.add_done_callback(told)
        await broker.nc.send([publish_frame(subject, b"", reply=reply)])
    # It says so before it answers a ping; a callback runs a turn later.
    await broker.nc.barrier()
    await asyncio.sleep(0)
    return missing


@pytest.mark.parametrize("mode", MODES)
async def test_whatever_a_user_may_publish_arrives_somewhere(mode):
    async with secured_nats(accounts=mode) as nats:
        async with users(nats, "bootstrap", *permissions.ANSWERING) as (maker, *answering):
            asked = {
                each.user: {sample(s) for s in each.publish if not s.startswith(NOT_ASKED)}
                for each in permissions.grants()
            }
            async with users(nats, "gateway") as (early,):
                silent = await unheard(early, asked["gateway"])
            await bootstrap.apply(maker)
            for broker, service in zip(answering, permissions.ANSWERING, strict=True):
                await broker.nc.listen(f"{service}.rpc.>", lambda _frame: None, service)
                await broker.nc.barrier()
            for user in USERS:
                async with users(nats, user) as (broker,):
                    assert await unheard(broker, asked[user]) == set(), user

    # Or nothing would have been shown.
    assert {"billing.cmd.place_order.v1", "billing.rpc.balance", "$KV.buckets.x"} <= silent


@pytest.mark.parametrize("mode", MODES)
async def test_hints_progress_and_events_are_heard_by_whom_they_are_for(mode):
    async with (
        secured_nats(accounts=mode) as nats,
        users(nats, "gateway", "gateway", "generator", "billing", "operator", "vpn") as them,
    ):
        gateway, other_gateway, generator, shop, operator, vpn = them
        heard: list[tuple[str, str]] = []
        for name, broker, subject in (
            ("gateway", gateway, "progress.>"),
            ("gateway", gateway, "gateway.wake.*"),
            ("operator", operator, billing.OrderCompleted.subject),
            ("generator", generator, "$KV.jobs.*"),
            ("vpn", vpn, "vpn.hint.*"),
        ):
            await broker.nc.listen(subject, lambda f, n=name: heard.append((n, f.subject)))
            await broker.nc.barrier()

        await generator.publish_ephemeral("progress.1.x", b"")
        await generator.publish_ephemeral("$KV.jobs.x", b"")
        await other_gateway.publish_ephemeral("gateway.wake.3", b"")
        await shop.publish_ephemeral(billing.OrderCompleted.subject, b"")
        await vpn.publish_ephemeral("vpn.hint.x", b"")

        told = {
            ("gateway", "progress.1.x"),
            ("gateway", "gateway.wake.3"),
            ("operator", billing.OrderCompleted.subject),
            ("generator", "$KV.jobs.x"),
            ("vpn", "vpn.hint.x"),
        }
        await drain(lambda: set(heard) >= told)
        for broker in them:
            await broker.nc.barrier()
        assert sorted(heard) == sorted(told)  # each of them once


@pytest.mark.parametrize("mode", MODES)
async def test_a_job_is_claimed_from_the_best_queue_and_none_is_left_claimed(mode):
    async with secured_nats(accounts=mode) as nats:
        async with users(nats, "bootstrap", "billing", "generator") as (maker, shop, generator):
            await bootstrap.apply(maker, only=["JOBS"])
            tiers = ("image-priority", "image-regular")
            puller = TieredPuller(generator, "JOBS", tiers)
            background = Background()
            parked = background.spawn(puller.next(), name="parked")
            await drain(lambda: _waiting(maker))
            for lane in ("regular", "priority"):
                await shop.publish(job_subject("image", lane), lane.encode(), {HEADER_ID: lane})
            first = await parked
            second = await puller.next()
            assert first is not None
            assert second is not None
            assert {first.body, second.body} == {b"regular", b"priority"}
            for job in (first, second):
                await job.ack_sync()
            assert (await maker.api("STREAM.INFO.JOBS"))["state"]["messages"] == 0


async def _waiting(maker: Broker) -> bool:
    state = await maker.consumer_info("JOBS", "image-priority")
    return state.num_waiting == 1


@pytest.mark.parametrize("mode", MODES)
async def test_who_watches_queue_depths_finds_the_streams_in_the_same_account(mode):
    """KEDA reads them from the monitoring port, by the account's name."""
    async with (
        secured_nats(accounts=mode) as nats,
        users(nats, "bootstrap") as (maker,),
        aiohttp.ClientSession() as session,
    ):
        await bootstrap.apply(maker, only=["JOBS"])
        url = f"{nats.server.monitoring_url}/jsz?acc={permissions.ACCOUNT}&consumers=true"
        async with session.get(url) as answer:
            (account,) = (await answer.json())["account_details"]

    (stream,) = account["stream_detail"]
    assert stream["name"] == "JOBS"
    assert "image-priority" in {each["name"] for each in stream["consumer_detail"]}


@pytest.mark.parametrize("mode", MODES)
async def test_a_slow_answer_reaches_the_operator(mode):
    async with (
        secured_nats(accounts=mode) as nats,
        users(nats, "operator", "billing") as (operator, shop),
    ):
        asked: list[str] = []
        await shop.nc.listen("billing.rpc.reconcile", lambda f: asked.append(f.reply), "billing")
        await shop.nc.barrier()
        reply, answer = operator.nc.expect_reply()
        await operator.nc.send([publish_frame("billing.rpc.reconcile", b"", reply=reply)])
        await drain(lambda: bool(asked))

        # The right to answer once is the connection's: this one is not that.
        back = asyncio.Event()
        shop.on_reconnect(back.set)
        await shop.nc.force_reconnect()
        await back.wait()
        await shop.nc.send([publish_frame(asked[0], b"all of it agrees")])

        async with asyncio.timeout(30):
            assert (await answer).body == b"all of it agrees"


async def test_a_running_installation_is_switched_over_and_back_by_a_reload(tell_balance, rich):
    """The account of the streams keeps its name, so they stay; nobody is restarted."""
    async with secured_nats() as nats:
        modes = [SHARED]
        nats.server.secure(lambda: nats_security.prepare(nats.state_dir, modes[-1]))
        async with users(nats, "bootstrap", "gateway", "billing") as (maker, gateway, shop):
            await bootstrap.apply(maker, only=["BILLING", "KV_leases"])
            watch = KeyValue(gateway, "leases").watch("gateway.replica.")
            taken: list[bytes] = []
            answering = await tell_balance(shop)
            consuming = Background()
            consuming.spawn(consume(shop, taken), name="consumer")
            for mode in (SEPARATE, SHARED, SEPARATE):
                await gateway.publish(billing.PlaceOrder.subject, b"before " + mode.encode())
                reconnected = [asyncio.Event() for _ in range(2)]
                for broker, again in zip((gateway, shop), reconnected, strict=True):
                    broker.on_reconnect(again.set)
                modes.append(mode)
                nats.server.reload()
                for again in reconnected:
                    await asyncio.wait_for(again.wait(), 30)
                number = str(len(modes))
                await gateway.publish(billing.PlaceOrder.subject, number.encode())
                await drain(lambda number=number: number.encode() in taken)
                await KeyValue(gateway, "leases").put("gateway.replica.x", number.encode())
                async for change in watch:
                    if change.entry is not None and change.entry.value == number.encode():
                        break
                assert await rich(gateway)
            assert await bootstrap.apply(maker, only=["BILLING"]) == []
            assert len(taken) == len(set(taken)) + 1  # "before separate" twice
            await watch.stop()
            await answering.stop()
            await consuming.stop(permissions.ANSWER_WITHIN)


async def consume(broker: Broker, taken: list[bytes]) -> None:
    async for batch in broker.consume("BILLING", "billing"):
        taken.extend(each.body for each in batch)
        for each in batch:
            await each.ack()


@pytest.mark.parametrize("mode", MODES)
async def test_a_message_is_stored_as_it_was_sent_and_once(mode):
    async with (
        secured_nats(accounts=mode) as nats,
        users(nats, "bootstrap", "gateway", "billing", "generator") as them,
    ):
        maker, gateway, shop, generator = them
        await bootstrap.apply(maker, only=["BILLING", "KV_jobs"])
        headers = {HEADER_ID: "1", "Vitrine-Signature": "party.key.abc"}
        subject = billing.PlaceOrder.subject
        first = await gateway.publish(subject, b"one", headers)
        again = await gateway.publish(subject, b"one", headers)
        more = [OutgoingMessage(subject, b"%d" % n, {HEADER_ID: f"b{n}"}) for n in range(5)]
        assert await gateway.publish_all(more) == [True] * 5
        assert (first.duplicate, again.duplicate) == (False, True)

        pull = shop.consume("BILLING", "billing")
        taken: list[Delivery] = []
        while len(taken) < 6:
            taken += await pull.next()
        await pull.stop()
        # Nothing is added by the server: what a signature covers is what was sent. A trace is our
        # own addition, where another test of this process has switched tracing on.
        assert {**taken[0].headers, "traceparent": ""} == {**headers, "traceparent": ""}
        assert [each.body for each in taken] == [b"one", b"0", b"1", b"2", b"3", b"4"]

        jobs = KeyValue(generator, "jobs")
        revision = await jobs.create("order", b"1")
        assert await jobs.update("order", b"2", revision) > revision
        with pytest.raises(WrongRevisionError):
            await jobs.update("order", b"3", revision)
