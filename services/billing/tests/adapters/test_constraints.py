"""What the database refuses although the domain would never ask for it."""

import asyncpg
import pytest


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET available = -1",
        "UPDATE accounts SET debt = 1",
        "UPDATE accounts SET in_flight = -1",
        "UPDATE lots SET remaining = -1",
        "UPDATE lots SET remaining = granted + 1",
        "UPDATE lots SET state = 'expired'",
        "UPDATE transfers SET amount = 1",
        "DELETE FROM transfers",
        "TRUNCATE transfers",
        "INSERT INTO transfers SELECT * FROM transfers",
        (
            "INSERT INTO transfers (user_id, number, lot, amount, debit, credit, kind, reason, at) "
            "VALUES (1, 9, 1, 0, 'available', 'held', 'hold', '', now())"
        ),
        "UPDATE orders SET state = 'lost'",
        "UPDATE orders SET gift = true",
        "UPDATE orders SET outputs = 'x'",
        "UPDATE holds SET amount = -1",
    ],
)
async def test_the_database_refuses(postgres_desk, statement):
    await postgres_desk.open(1)
    await postgres_desk.placed(1)

    async with postgres_desk.database.read() as connection:
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(statement)


async def test_a_hold_that_ended_is_not_ended_again(postgres_desk):
    desk = postgres_desk
    await desk.open(1)
    command = await desk.placed(1)
    order = await desk.order(command.order_id)
    await desk.succeed(command)
    order.hold.state = "voided"

    with pytest.raises(AssertionError, match="elsewhere"):
        async with desk.begin() as uow:
            await desk.books.orders.end(uow.connection, [], [order.hold], desk.now)


async def test_an_order_id_is_used_once(postgres_desk):
    desk = postgres_desk
    await desk.open(1)
    command = await desk.placed(1)
    order = await desk.order(command.order_id)

    with pytest.raises(asyncpg.UniqueViolationError):
        async with desk.begin() as uow:
            await desk.books.orders.add(uow.connection, [order], desk.now)
    assert (await desk.account(1)).held == 10
