"""forget_seal_head: what is recorded when a process is killed, and how often a word counts."""

import asyncio

import msgspec
import pytest

from billing import jobs
from billing.adapters.seals import BUCKET, KEY, Kept, Seals
from billing.handlers.forget_seal_head import forget_seal_head, not_forgotten
from chassis import bootstrap
from chassis.broker import Broker
from chassis.effects import EffectWorker
from chassis.key_value import KeyValue
from chassis.outbox import Outbox
from contracts.operators import ForgetSealHead, SealHeadForgotten, SealHeadStays

KEPT, FOUND = 17, 1
ASKED, AGREED, REFUSED = "needs_second_person", "agreed", "invalid"
LEASE_SECONDS = 60


class KilledAfterIt(Seals):
    """The process ends when the head is gone, before anything is recorded."""

    async def forget(self, number):
        await super().forget(number)
        raise asyncio.CancelledError


class KilledBeforeIt(Seals):
    async def forget(self, number):
        del number
        raise asyncio.CancelledError


class Restored:
    """Outside stands a newer head than the ledger has."""

    def __init__(self, cashier, broker):
        self.cashier = cashier
        self.outbox = Outbox(cashier.desk.database, broker, cashier.desk.clock)
        self.kept = KeyValue(broker, BUCKET)
        self.seals = Seals(self.outbox)

    async def set_back(self):
        await self.kept.put(KEY, msgspec.msgpack.encode(Kept(KEPT, bytes(32))))

    async def order(self, number=KEPT, **fields):
        values = {"reason": "restored", "actor": "anna", **fields}
        command = ForgetSealHead(number=number, **values)
        till = self.cashier.till

        async def rejected(uow, each, error):
            await not_forgotten(uow, each, error, till=till)

        await self.cashier.run(forget_seal_head, command, rejected=rejected, till=till)

    async def agreed(self, number=KEPT):
        await self.order(number)
        await self.order(number, approved_by="boris")

    async def work(self, heads=Seals):
        kinds = jobs.seal_effects(heads(self.outbox), self.cashier.till)
        await EffectWorker(self.outbox, kinds).work_once()

    async def killed(self, heads):
        with pytest.raises(asyncio.CancelledError):
            await self.work(heads)
        await self.seals.seal()  # billing's own round, meanwhile
        await self.cashier.later(seconds=LEASE_SECONDS + 1)

    async def outcomes(self):
        query = "SELECT outcome FROM operator_actions ORDER BY number"
        return [outcome for (outcome,) in await self.cashier.rows(query)]

    async def told(self):
        query = "SELECT body FROM outbox WHERE subject = $1"
        return [
            kind.decode(body)
            for kind in (SealHeadForgotten, SealHeadStays)
            for (body,) in await self.cashier.rows(query, kind.subject)
        ]


@pytest.fixture
async def restored(cashier, nats_url):
    broker = await Broker.connect(nats_url, name="test", on_fatal=AssertionError)
    await bootstrap.apply(broker, only=[f"KV_{BUCKET}"])
    restored = Restored(cashier, broker)
    await restored.kept.delete(KEY)
    await restored.seals.seal()
    assert (await restored.seals.head()).number == FOUND
    await restored.set_back()
    yield restored
    await restored.kept.delete(KEY)
    await broker.close()


async def test_who_was_killed_after_it_says_so_at_the_next_attempt(restored):
    await restored.agreed()
    await restored.killed(KilledAfterIt)
    assert await restored.seals.kept() == await restored.seals.head()
    assert await restored.outcomes() == [ASKED, AGREED]

    await restored.work()

    assert await restored.outcomes() == [ASKED, AGREED, "gone"]
    (told,) = await restored.told()
    assert (type(told), told.number) == (SealHeadForgotten, KEPT)
    assert await restored.seals.kept() == await restored.seals.head()


async def test_who_was_killed_before_it_does_it_at_the_next_attempt(restored):
    await restored.agreed()
    await restored.killed(KilledBeforeIt)

    await restored.work()

    assert await restored.outcomes() == [ASKED, AGREED, "done"]
    assert (await restored.seals.kept()).number == 0


async def test_a_head_that_was_not_named_stays_at_a_later_attempt_too(restored):
    await restored.agreed(KEPT + 5)
    await restored.killed(KilledAfterIt)

    await restored.work()

    assert await restored.outcomes() == [ASKED, AGREED, "stays"]
    (told,) = await restored.told()
    assert (type(told), told.kept, told.found) == (SealHeadStays, KEPT, FOUND)


async def test_a_word_counts_once_though_the_number_comes_again(restored):
    await restored.agreed()
    await restored.work()
    await restored.set_back()
    await restored.cashier.later(days=90)

    await restored.order(approved_by="carl")
    await restored.work()

    assert await restored.outcomes() == [ASKED, AGREED, "done", REFUSED]
    assert (await restored.seals.kept()).number == KEPT
    await restored.agreed()
    await restored.work()
    assert await restored.outcomes() == [ASKED, AGREED, "done", REFUSED, ASKED, AGREED, "done"]
