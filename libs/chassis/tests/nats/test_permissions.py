"""Each user tries everything on a real server; written by hand, not derived from what it grants.

All of it with everybody in one account, and with an account for each.
"""

import asyncio
import re
from datetime import timedelta
from typing import Self

import pytest

from chassis import bootstrap, rpc
from chassis.broker import Broker
from chassis.key_value import KeyValue
from chassis.objects import Objects
from chassis.testing import drain
from chassis.wire import publish_frame
from contracts import billing, producers, topology
from contracts.accounts import MODES, SHARED
from contracts.envelope import HEADER_ID
from contracts.permissions import USERS
from contracts.topology import SERVICES
from devstack.testing import SecuredNats, running_secured_nats, secured_nats

REFUSED = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')
STREAMS = [stream.name for stream in topology.streams()]
DURABLES = {
    "gateway": ["GATEWAY.gateway", "EVENTS.gateway", "UPDATES.shard-00", "UPDATES.shard-31"],
    "billing": ["BILLING.billing", "EVENTS.billing"],
    "generator": ["GENERATOR.generator", "JOBS.image-priority", "JOBS.hosted-regular"],
    "vpn": ["VPN.vpn", "EVENTS.vpn"],
    "scheduler": ["SCHEDULER.scheduler"],
}
ALL_DURABLES = [each for owned in DURABLES.values() for each in owned]
BUCKETS = ["jobs", "leases", "buckets", "seals"]
CONTENT = {"gateway": ["leases", "buckets"], "billing": ["seals"], "vpn": ["leases"]}
CONTENT["generator"] = ["jobs", "leases"]
STREAM_VERBS = ["CREATE", "UPDATE", "DELETE", "PURGE", "INFO", "MSG.GET", "MSG.DELETE", "SNAPSHOT"]
STREAM_VERBS += ["RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE"]
CONSUMER_VERBS = ["CREATE", "DURABLE.CREATE", "DELETE", "INFO", "PAUSE", "RESET", "UNPIN"]
SERVER_WIDE = ["INFO", "STREAM.LIST", "STREAM.NAMES", "META.LEADER.STEPDOWN", "ACCOUNT.PURGE.X"]
COMMANDS = [*producers.COMMANDS, "billing.cmd.from_tomorrow.v1", "jobs.image.priority"]
KEYS = {"leases": ["gateway.replica.x", "vpn.node.x", "generator/x"], "buckets": ["send.1"]}
KEYS |= {"jobs": ["x", "slot.x"], "seals": ["billing.head"]}


def universe() -> set[str]:
    """Everything anybody could publish to, as far as this platform has names."""
    found = set(COMMANDS)
    found |= {f"{service}.evt.order_completed.v1" for service in SERVICES}
    found |= {f"dead.{service}" for service in SERVICES}
    found |= {f"{service}.rpc.anything" for service in SERVICES}
    found |= {f"_INBOX_{user}.x.1" for user in USERS} | {"_INBOX.x", "anything", "$SYS.REQ.USER"}
    found |= {"_R_.x"}
    found |= {"gateway.updates.3", "gateway.wake.3", "vpn.hint.x", "progress.3.x"}
    found |= {f"$JS.API.{verb}" for verb in SERVER_WIDE}
    found |= {f"$JS.API.STREAM.{verb}.{name}" for verb in STREAM_VERBS for name in STREAMS}
    found |= {f"$JS.API.CONSUMER.{verb}.{name}.x" for verb in CONSUMER_VERBS for name in STREAMS}
    found |= {f"$JS.API.CONSUMER.CREATE.{name}" for name in STREAMS}
    found |= {f"$JS.API.CONSUMER.LIST.{name}" for name in STREAMS}
    found |= {f"$JS.API.CONSUMER.NAMES.{name}" for name in STREAMS}
    found |= {f"$JS.API.DIRECT.GET.{name}" for name in STREAMS}
    for place in ALL_DURABLES:
        found |= {f"$JS.API.CONSUMER.{verb}.{place}" for verb in (*CONSUMER_VERBS, "MSG.NEXT")}
        found |= {f"$JS.ACK.{place}.1.1.1.1.1", f"$JS.ACK._.acc.{place}.1.1.1.1.1.x"}
    found |= {f"$KV.{bucket}.{key}" for bucket, keys in KEYS.items() for key in keys}
    return found | {"$O.media.C.x", "$O.media.M.x", "$JS.FC.KV_leases.x.y", "$JS.FC.EVENTS.x.y"}


def needed(user: str, mode: str) -> set[str]:
    """What of that each user must be able to publish; all else is too much."""
    found = {subject for subject, senders in producers.COMMANDS.items() if user in senders}
    if user in SERVICES:
        found |= {f"{user}.evt.order_completed.v1", f"dead.{user}"}
    for place in DURABLES.get(user, []):
        found |= {f"$JS.API.CONSUMER.MSG.NEXT.{place}"}
        found |= {f"$JS.ACK.{place}.1.1.1.1.1", f"$JS.ACK._.acc.{place}.1.1.1.1.1.x"}
    found |= {f"$JS.API.STREAM.MSG.GET.KV_{bucket}" for bucket in CONTENT.get(user, [])}
    if user in ("gateway", "generator"):
        found |= {f"$JS.API.STREAM.{verb}.OBJ_media" for verb in ("MSG.GET", "PURGE")}
        found |= {"$JS.API.DIRECT.GET.OBJ_media", "$O.media.C.x", "$O.media.M.x"}
    if user == "gateway":
        watched = [
            f"$JS.API.CONSUMER.{verb}.KV_{bucket}.x"
            for verb in ("CREATE", "DELETE")
            for bucket in ("leases", "buckets")
        ]
        found |= {*watched, "$JS.FC.KV_leases.x.y", "gateway.updates.3", "gateway.wake.3"}
        found |= {"$KV.leases.gateway.replica.x", "$KV.buckets.send.1"}
    if user == "billing":
        found |= {"jobs.image.priority", "$KV.seals.billing.head"}
        # A slow answer: where the operator listens, or where the server passes it on.
        found |= {"_INBOX_operator.x.1" if mode == SHARED else "_R_.x"}
        found |= {f"$JS.API.CONSUMER.INFO.{each}" for each in ALL_DURABLES if each[:5] == "JOBS."}
    if user == "generator":
        found |= {"progress.3.x", "$KV.leases.generator/x", "$KV.jobs.x", "$KV.jobs.slot.x"}
    if user == "vpn":
        found |= {"vpn.hint.x", "$KV.leases.vpn.node.x", "vpn.cmd.extend_everybody.v1"}
    if user == "bootstrap":
        verbs = ("CREATE", "UPDATE", "INFO")
        found |= {f"$JS.API.STREAM.{verb}.{name}" for verb in verbs for name in STREAMS}
        found |= {
            f"$JS.API.CONSUMER.{verb}.{place}"
            for verb in ("CREATE", "INFO")
            for place in ALL_DURABLES
        }
    if user == "operator":
        found |= {"$JS.API.STREAM.INFO.DEAD"}
    return found


SUBSCRIPTIONS = {
    *(">", "*", "*.>", "$SYS.>", "$JS.>", "$JS.EVENT.>", "$JS.API.>", "$KV.>", "$O.>", "jobs.>"),
    *("_INBOX.>", "*.evt.>", "*.cmd.>", "*.rpc.>", "dead.>", "progress.>", "gateway.wake.1"),
    *("gateway.updates.*", "vpn.hint.*", "$KV.jobs.x", "$KV.leases.>", "$KV.jobs.>"),
    *(f"_INBOX_{user}.>" for user in USERS),
    *(f"{service}.{kind}.>" for service in SERVICES for kind in ("cmd", "evt", "rpc")),
}
# To the server `>` in a subscription is one token, which `*` allows: no more keys than a job's
# lie deeper.
HEARS = {
    "gateway": {"progress.>", "gateway.wake.1"},
    "generator": {"$KV.jobs.x", "$KV.jobs.>"},
    "vpn": {"vpn.hint.*"},
}


@pytest.fixture(scope="module", params=MODES)
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def nats(mode):
    with running_secured_nats(mode) as running:
        yield running


class Somebody:
    """A connection of one user, and what it was refused."""

    def __init__(self, nats: SecuredNats, user: str) -> None:
        self._nats, self.user = nats, user
        self.refused: set[tuple[str, str]] = set()

    async def __aenter__(self) -> Self:
        self.broker = await Broker.connect(
            self._nats.server.url,
            name=self.user,
            identity=self._nats.identity(self.user),
            on_fatal=lambda _: None,
        )
        # Also what ends no process.
        self.broker.nc._error_cb = self._told
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.broker.close(timedelta(seconds=0.3))

    async def _told(self, error: Exception) -> None:
        if (found := REFUSED.search(str(error))) is not None:
            self.refused.add((found[1], found[2]))

    async def may_publish(self, subjects: set[str]) -> set[str]:
        """Which of them the server lets through."""
        self.refused.clear()
        for subject in subjects:
            await self.broker.nc.send([publish_frame(subject, b"")])
        await self.broker.nc.barrier()
        return self._not_refused(subjects, "publish")

    async def may_subscribe(self, subjects: set[str], queue: str = "") -> set[str]:
        self.refused.clear()
        for subject in subjects:
            await self.broker.nc.listen(subject, lambda _frame: None, queue)
        await self.broker.nc.barrier()
        return self._not_refused(subjects, "subscription")

    def _not_refused(self, subjects: set[str], kind: str) -> set[str]:
        # nats-py writes the server's words in small letters.
        return {subject for subject in subjects if (kind, subject.lower()) not in self.refused}


@pytest.mark.parametrize("user", USERS)
async def test_a_user_may_publish_what_it_needs_and_nothing_else(nats, user, mode):
    everything = universe()
    async with Somebody(nats, user) as somebody:
        allowed = await somebody.may_publish(everything)

    assert allowed == needed(user, mode) & everything
    assert needed(user, mode) <= everything


@pytest.mark.parametrize("user", USERS)
async def test_a_user_hears_its_own_inbox_and_little_else(nats, user):
    async with Somebody(nats, user) as somebody:
        heard = await somebody.may_subscribe(SUBSCRIPTIONS)
        queued = await somebody.may_subscribe({f"{each}.rpc.balance" for each in SERVICES}, user)

    assert heard == {f"_INBOX_{user}.>"} | HEARS.get(user, set())
    answers = {"gateway", "billing", "vpn", "scheduler"} & {user}
    assert queued == {f"{each}.rpc.balance" for each in answers}


async def test_an_answer_may_be_given_once_where_it_was_asked_for(nats, mode):
    async with Somebody(nats, "gateway") as gateway, Somebody(nats, "billing") as shop:
        told = asyncio.Event()
        inbox = ""

        async def balance(_: billing.GetBalance) -> billing.Balance:
            return billing.Balance(user_id=1, available_credits=7)

        answering = await rpc.answer(shop.broker, billing.GetBalance, balance)
        assert not await arrives(shop, gateway, "_INBOX_gateway.x")
        answer = await rpc.request(gateway.broker, billing.GetBalance(user_id=1), billing.Balance)
        assert answer.available_credits == 7
        await answering.stop()

        def asked(frame) -> None:
            nonlocal inbox
            inbox = frame.reply
            told.set()

        await shop.broker.nc.listen("billing.rpc.balance", asked, "billing")
        await shop.broker.nc.barrier()
        reply, _ = gateway.broker.nc.expect_reply()
        await gateway.broker.nc.send([publish_frame("billing.rpc.balance", b"", reply=reply)])
        await told.wait()
        # Another account is given a name of the server's own making.
        assert (inbox == reply) is (mode == SHARED)
        assert await arrives(shop, gateway, reply, inbox)
        assert not await arrives(shop, gateway, reply, inbox)


async def arrives(sender: Somebody, hearer: Somebody, inbox: str, sent_to: str = "") -> bool:
    """Whether what one user sends to another's inbox gets there."""
    heard: list[str] = []
    sid = await hearer.broker.nc.listen(inbox, lambda frame: heard.append(frame.subject))
    await hearer.broker.nc.barrier()
    await sender.broker.nc.send([publish_frame(sent_to or inbox, b"")])
    await sender.broker.nc.barrier()
    await hearer.broker.nc.unlisten(sid)
    return heard == [inbox]


@pytest.mark.parametrize("form", ["v1", "v2"])
async def test_a_service_takes_and_settles_its_messages_by_either_form_of_the_subject(form, mode):
    more = "feature_flags { js_ack_fc_v2: true }\n" if form == "v2" else ""
    async with secured_nats(more, mode) as nats:
        async with Somebody(nats, "bootstrap") as maker:
            await bootstrap.apply(maker.broker, only=["BILLING", "KV_leases", "OBJ_media", "JOBS"])
        async with Somebody(nats, "gateway") as gateway, Somebody(nats, "billing") as shop:
            for number in range(5):
                await gateway.broker.publish(
                    billing.PlaceOrder.subject, b"x", {HEADER_ID: str(number)}
                )
            pull = shop.broker.consume("BILLING", "billing")
            taken = []
            while len(taken) < 5:
                taken += await pull.next()
            await taken[0].ack()
            await taken[1].ack_sync()
            await taken[2].nak()
            await taken[3].in_progress()
            await taken[4].term("it is a test")
            assert (await pull.next())[0].stream_sequence == taken[2].stream_sequence
            await pull.stop()
            await shop.broker.consumer_info("JOBS", "image-priority")
            assert taken[0].ack_subject.count(".") == (8 if form == "v1" else 10)
            await _keeps_leases_and_files(gateway.broker)
            assert gateway.refused == shop.refused == set()


async def _keeps_leases_and_files(gateway: Broker) -> None:
    """Keys written, read and watched; files stored, read, replaced and deleted."""
    leases = KeyValue(gateway, "leases")
    watch = leases.watch("gateway.replica.")
    await leases.put("gateway.replica.x", b"here")
    change = await anext(aiter(watch))
    await watch.stop()
    objects = Objects(gateway)
    await objects.put("a", b"1" * 300_000)
    await objects.put("a", b"2" * 300_000)
    assert change.key == "gateway.replica.x"
    assert await objects.get("a") == b"2" * 300_000
    assert await objects.delete("a")
    assert await objects.list() == []


async def test_bootstrap_can_make_everything_and_then_finds_nothing_to_change(nats):
    async with Somebody(nats, "bootstrap") as maker:
        made = await bootstrap.apply(maker.broker)
        again = await bootstrap.apply(maker.broker)

    assert len(made) > len(STREAMS)
    assert again == []
    assert maker.refused == set()


async def test_an_answer_that_comes_too_late_ends_no_process(nats):
    fatal: list[str] = []
    async with Somebody(nats, "gateway") as gateway:
        access = await Broker.connect(
            nats.server.url,
            name="vpn",
            identity=nats.identity("vpn"),
            on_fatal=fatal.append,
        )
        asked: list[str] = []
        await access.nc.listen("vpn.rpc.access", lambda frame: asked.append(frame.reply), "vpn")
        await access.nc.barrier()
        reply, answer = gateway.broker.nc.expect_reply()
        await gateway.broker.nc.send([publish_frame("vpn.rpc.access", b"", reply=reply)])
        await drain(lambda: bool(asked))

        # The right is the connection's: what waits for a reconnect comes too late.
        reconnected = asyncio.Event()
        access.on_reconnect(reconnected.set)
        await access.nc.force_reconnect()
        await reconnected.wait()
        await access.nc.send([publish_frame(asked[0], b"late")])
        await access.nc.barrier()

        assert fatal == []
        assert not answer.done()
        await access.close()


async def test_what_is_refused_ends_the_process_with_the_subject_named(nats):
    fatal: list[str] = []
    broker = await Broker.connect(
        nats.server.url, name="vpn", identity=nats.identity("vpn"), on_fatal=fatal.append
    )

    await broker.publish_ephemeral("billing.cmd.grant_credits.v1", b"")

    await drain(lambda: bool(fatal))
    assert 'publish to "billing.cmd.grant_credits.v1"' in fatal[0]
    await broker.close()
