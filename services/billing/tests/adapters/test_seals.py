"""The hash chain: honest rows verify; a changed, dropped or added one is found."""

import asyncpg
import pytest

from billing.adapters.seals import Seals, broken_seals
from billing.domain.chain import Head
from billing.testing import ORBIT
from chassis import bootstrap
from chassis.broker import Broker
from chassis.key_value import KeyValue
from chassis.outbox import Outbox


@pytest.fixture
async def seals(postgres_desk, nats_url):
    desk = postgres_desk
    broker = await Broker.connect(nats_url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker, only=["KV_seals"])
    await KeyValue(broker, "seals").delete("billing.head")
    await desk.open(1, 2, amount=60)
    sealing = Seals(Outbox(desk.database, broker, desk.clock))
    await sealing.seal()
    await desk.succeed(await desk.placed(1, workflow=ORBIT))
    await sealing.seal()
    yield sealing
    await broker.close()


async def broken(desk, seals) -> tuple[int, ...]:
    return await broken_seals(desk.database, await seals.kept())


async def test_an_honest_chain_holds_and_its_head_stands_outside(postgres_desk, seals):
    head = await seals.head()

    assert head.number == 2
    assert await seals.kept() == head
    assert await broken(postgres_desk, seals) == ()


async def test_nothing_new_makes_no_new_seal(seals):
    before = await seals.head()

    await seals.seal()

    assert await seals.head() == before


TAMPERED = {
    "UPDATE transfers SET amount = amount + 1 WHERE user_id = 1 AND number = 1": (1,),
    "UPDATE transfers SET reason = 'x' WHERE user_id = 1 AND kind = 'post'": (2,),
    "DELETE FROM transfers WHERE user_id = 2": (1,),
    "INSERT INTO transfers (user_id, number, lot, amount, debit, credit, kind, reason, at, "
    "written_in) SELECT 2, 9, 1, 5, 'house:gifts', 'available', 'grant', '', now(), written_in "
    "FROM transfers WHERE user_id = 1 AND number = 1": (1,),
    "DELETE FROM seals WHERE number = 2": (0,),
}


@pytest.mark.parametrize("statement", TAMPERED)
async def test_tampering_is_found(postgres_desk, seals, statement):
    async with postgres_desk.database.read() as connection, connection.transaction():
        # What the triggers refuse to everybody, a superuser can still do.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(statement)

    assert await broken(postgres_desk, seals) == TAMPERED[statement]


async def test_rows_and_seals_refuse_change(postgres_desk, seals):
    for table in ("transfers", "seals"):
        async with postgres_desk.database.read() as connection:
            with pytest.raises(asyncpg.RaiseError, match="append-only"):
                await connection.execute(f"DELETE FROM {table}")


async def test_a_running_transaction_is_not_sealed_over(postgres_desk, seals):
    desk, before = postgres_desk, await seals.head()
    async with desk.database.read() as other, other.transaction():
        await other.execute("SELECT pg_current_xact_id()")  # it may still write rows
        await desk.placed(2, workflow=ORBIT)

        await seals.seal()
        assert await seals.head() == before

    await seals.seal()
    assert (await seals.head()).number == before.number + 1
    assert await broken(desk, seals) == ()


async def test_a_database_that_went_back_in_time_differs_from_the_head_outside(postgres_desk):
    ahead = Head(7, bytes(32))

    assert await broken_seals(postgres_desk.database, ahead) == (0,)
