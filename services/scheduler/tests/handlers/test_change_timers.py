"""What a service could not send itself, it cannot have sent by a timer either."""

from typing import Any

import pytest

from chassis.clock import new_id
from chassis.consumers import Received
from contracts import billing, vpn
from contracts.envelope import Headers
from contracts.ids import MessageId
from contracts.scheduler import ScheduleTimer, TimerRejected
from scheduler.adapters.postgres import PostgresTimers
from scheduler.handlers.change_timers import change_timers
from scheduler.testing import row, timer


def received(command: ScheduleTimer, producer: str) -> Received[Any]:
    found = Received(command, Headers(id=MessageId(new_id())), command.subject, 1)
    found.producer = producer
    return found


@pytest.mark.parametrize(
    ("producer", "subject", "armed"),
    [
        ("vpn", vpn.CheckSubscription.subject, True),
        ("vpn", billing.GrantCredits.subject, False),
        ("vpn", vpn.GrantAccess.subject, False),
        ("vpn", billing.RunAudit.subject, False),
        ("", vpn.GrantAccess.subject, False),
        ("", vpn.CheckSubscription.subject, True),
    ],
    ids=[
        "its own hint",
        "money",
        "its own, no hint",
        "another's hint",
        "no hint, unsigned",
        "no signatures",
    ],
)
async def test_a_timer_lends_nobody_the_schedulers_signature(outbox, producer, subject, armed):
    command = timer(due_in=60, fire_subject=subject)

    async with outbox.begin() as uow:
        await change_timers(
            [received(command, producer)], uow, store=PostgresTimers(), kinds={}, wake=lambda: None
        )
        told = [each.subject for each in uow.rows]

    assert bool(await row(outbox, "k")) is armed
    assert told == ([] if armed else [TimerRejected.subject])
