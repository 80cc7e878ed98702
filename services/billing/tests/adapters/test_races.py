"""Two connections at once: locks and keys decide, never luck."""

import asyncio

from billing.adapters.audit import audit
from billing.handlers.expire_holds import expire_holds
from billing.testing import order_of


async def healthy(desk):
    async with desk.database.read() as connection:
        report = await audit(connection)
    return report.healthy, report.lines()


async def test_two_batches_of_one_person_cannot_overspend(postgres_desk):
    desk = postgres_desk
    await desk.open(1)
    batches = [[order_of(1, desk.now) for _ in range(2)] for _ in range(4)]

    told = await asyncio.gather(*(desk.place(*batch) for batch in batches))

    accepted = [each for batch in told for each in batch if type(each).__name__ == "OrderAccepted"]
    assert len(accepted) == 2
    assert (await healthy(desk))[0]


async def test_the_same_order_on_two_connections_is_held_once(postgres_desk):
    desk = postgres_desk
    await desk.open(1, amount=100)
    command = order_of(1, desk.now)

    told = await asyncio.gather(*(desk.place(command) for _ in range(4)))

    assert sorted(len(each) for each in told) == [0, 0, 0, 2]
    assert (await desk.account(1)).held == 10


async def test_batches_of_the_same_people_in_any_order_do_not_deadlock(postgres_desk):
    desk = postgres_desk
    people = list(range(1, 21))
    await desk.open(*people)
    forward = [order_of(user, desk.now) for user in people]
    backward = [order_of(user, desk.now) for user in reversed(people)]

    await asyncio.gather(desk.place(*forward), desk.place(*backward))

    assert {(await desk.account(user)).held for user in people} == {20}


async def test_an_answer_and_the_expiry_of_its_hold_end_it_once(postgres_desk):
    desk = postgres_desk
    await desk.open(1)
    command = await desk.placed(1)
    desk.clock.advance((await desk.order(command.order_id)).hold.expires_at - desk.now)

    told = await asyncio.gather(
        desk.succeed(command), desk.sweep(expire_holds), desk.succeed(command)
    )

    order = await desk.order(command.order_id)
    assert order.hold.state in ("posted", "expired")
    assert sum(len(each) for each in told) == (1 if order.hold.state == "posted" else 2)
    assert (await healthy(desk))[0]


async def test_one_person_opened_twice_at_once_gets_one_trial(postgres_desk):
    desk = postgres_desk

    await asyncio.gather(*(desk.open(1) for _ in range(4)))

    assert (await desk.account(1)).available == 20


async def test_one_grant_key_on_two_connections_adds_once(postgres_desk):
    desk = postgres_desk
    await desk.open(1)

    told = await asyncio.gather(*(desk.grant(1, 50, grant_key="same") for _ in range(4)))

    assert sorted(each.__class__.__name__ for (each,) in told) == [
        "CommandRejected",
        "CommandRejected",
        "CommandRejected",
        "CreditsGranted",
    ]
    assert (await desk.account(1)).available == 70
