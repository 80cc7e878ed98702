"""What is parked can be listed, shown and handled again, once."""

import asyncio
from uuid import UUID

from chassis import parked
from chassis.clock import new_id
from chassis.consumers import ExactlyOnce, Route, Subscription
from chassis.database import Database
from chassis.outbox import Outbox, UnitOfWork
from chassis.redrive import Redrive
from contracts import billing
from contracts.envelope import Headers
from contracts.ids import MessageId


async def park_one(outbox: Outbox, key: str) -> UUID:
    message_id = new_id()
    command = billing.GrantCredits(grant_key=key, user_id=1, credits=1, reason="t", actor="t")
    headers = Headers(id=MessageId(message_id)).to_wire()
    async with outbox.begin() as uow:
        await uow.connection.execute(
            "INSERT INTO inbox (day, id) VALUES ($1, $2)", uow.now.date(), message_id
        )
        await uow.connection.execute(
            "INSERT INTO parked VALUES ($1, 'BILLING', 'billing', $2, $3, $4, 'bug', '', $5, "
            "'parked')",
            message_id,
            command.subject,
            headers,
            command.encode(),
            uow.now,
        )
    return message_id


async def record(command: billing.GrantCredits, uow: UnitOfWork) -> None:
    if command.grant_key == "still broken":
        raise ZeroDivisionError
    await uow.connection.execute("INSERT INTO done (key) VALUES ($1)", command.grant_key)


def redriver(outbox: Outbox) -> Redrive:
    route = Route(message=billing.GrantCredits, handler=record)
    subscription = Subscription(stream="BILLING", consumer="billing", routes=(route,))
    return Redrive("billing", outbox, [ExactlyOnce("billing", outbox, subscription)])


async def test_a_redriven_message_is_handled_once_however_often_asked(
    outbox: Outbox, database: Database
) -> None:
    parked_id = await park_one(outbox, "mended")
    redrive = redriver(outbox)
    request = parked.RedriveParked(id=parked_id, actor="me")

    answers = await asyncio.gather(*(redrive.redrive(request) for _ in range(4)))

    assert sorted(each.changed for each in answers) == [False, False, False, True]
    async with database.read() as connection:
        assert await connection.fetchval("SELECT count(*) FROM done") == 1
        row = await connection.fetchrow("SELECT state, redriven_by FROM parked")
    assert (row["state"], row["redriven_by"]) == ("done", "me")


async def test_a_message_that_fails_again_stays_parked(outbox: Outbox) -> None:
    parked_id = await park_one(outbox, "still broken")
    redrive = redriver(outbox)

    await redrive.redrive(parked.RedriveParked(id=parked_id, actor="me"))

    listed = await redrive.listed(parked.ListParked())
    assert [row.reason for row in listed.rows] == ["re-drive failed: ZeroDivisionError"]


async def test_what_a_crash_left_fresh_is_handled_at_the_next_start(
    outbox: Outbox, database: Database
) -> None:
    parked_id = await park_one(outbox, "left over")
    async with outbox.begin() as uow:
        assert await parked.refresh(uow, parked_id, actor="me")

    await redriver(outbox).run_left_over()

    async with database.read() as connection:
        assert await connection.fetchval("SELECT key FROM done") == "left over"


async def test_show_gives_the_body_and_list_does_not(outbox: Outbox) -> None:
    parked_id = await park_one(outbox, "shown")
    redrive = redriver(outbox)

    shown = await redrive.shown(parked.ShowParked(id=parked_id))
    listed = await redrive.listed(parked.ListParked())

    assert billing.GrantCredits.decode(shown.rows[0].body).grant_key == "shown"
    assert listed.rows[0].body == b""
