"""Beats of `in progress` go to deliveries that are still held, and to no others."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from chassis.broker import Broker, Ephemeral, OutgoingMessage
from chassis.clock import new_id
from chassis.consumers import ExactlyOnce, Route
from chassis.outbox import UnitOfWork
from chassis.testing import drain
from contracts import billing
from contracts.envelope import Headers
from contracts.ids import MessageId

Consume = Callable[..., ExactlyOnce]
SUBJECT = billing.GrantCredits.subject


async def test_what_was_handed_back_is_not_kept_alive(broker: Broker, consume: Consume) -> None:
    """A beat after a nak with a delay would bring the message back after ack_wait instead."""
    answers: dict[str, list[bytes]] = {}
    go_on = asyncio.Event()

    async def hear(answer: Ephemeral) -> None:
        answers.setdefault(answer.subject, []).append(answer.body[:4])

    async def slow(_command: billing.GrantCredits, _uow: UnitOfWork) -> None:
        await go_on.wait()

    heard = await broker.subscribe("$JS.ACK.BILLING.>", hear)
    command = billing.GrantCredits(grant_key="k", user_id=1, credits=1, reason="t", actor="t")
    both = [
        OutgoingMessage(SUBJECT, body, Headers(id=MessageId(new_id())).to_wire())
        for body in (b"undecodable", command.encode())
    ]
    assert all(await broker.publish_all(both))
    consume(Route(message=billing.GrantCredits, handler=slow), ack_wait=timedelta(seconds=2))

    def beaten() -> bool:
        return any(each.count(b"+WPI") >= 5 for each in answers.values())

    await drain(beaten, what="five beats for the message at work")
    go_on.set()
    await drain(lambda: any(b"" in each for each in answers.values()), what="its acknowledgement")
    await heard.stop()

    assert sorted(map(set, answers.values()), key=len) == [{b"-NAK"}, {b"+WPI", b""}]
    for each in answers.values():
        assert each[-1] in (b"-NAK", b"")
