from datetime import UTC, datetime
from typing import Any

from chassis import timers
from contracts.billing import RunAudit
from contracts.envelope import Message
from contracts.scheduler import CancelTimer, ScheduleTimer

DUE = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class Collected:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def emit(self, message: Message, **_how: Any) -> None:
        self.messages.append(message)


def test_a_timer_carries_what_it_will_send() -> None:
    uow = Collected()

    timers.schedule(uow, "audit", 3, DUE, RunAudit(due_at=DUE))

    (command,) = uow.messages
    assert isinstance(command, ScheduleTimer)
    assert (command.key, command.version, command.due_at) == ("audit", 3, DUE)
    assert command.fire_subject == RunAudit.subject
    assert RunAudit.decode(command.fire_body) == RunAudit(due_at=DUE)


def test_a_cancel_names_its_version() -> None:
    uow = Collected()

    timers.cancel(uow, "audit", 4)

    assert uow.messages == [CancelTimer(key="audit", version=4)]
