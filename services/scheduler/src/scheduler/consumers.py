"""What the scheduler accepts, and where it goes."""

from __future__ import annotations

from functools import partial

from chassis.consumers import Route, Subscription
from contracts import scheduler
from contracts.errors import RefusalError
from scheduler.handlers.cancel_timer import cancel_timer
from scheduler.handlers.schedule_timer import schedule_timer
from scheduler.ports import Timers


def table(store: Timers) -> tuple[Subscription, ...]:
    return (
        Subscription(
            stream="SCHEDULER",
            consumer="scheduler",
            routes=(
                Route(
                    message=scheduler.ScheduleTimer,
                    handler=partial(schedule_timer, store=store),
                    on_refusal=_rejected,
                ),
                Route(message=scheduler.CancelTimer, handler=partial(cancel_timer, store=store)),
            ),
        ),
    )


def _rejected(command: scheduler.ScheduleTimer, refusal: RefusalError) -> scheduler.TimerRejected:
    return scheduler.TimerRejected(key=command.key, code=refusal.code)
