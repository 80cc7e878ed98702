"""What the scheduler accepts, and where it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from chassis.consumers import Route, Subscription
from contracts import scheduler
from scheduler.domain.timers import KindTerms
from scheduler.handlers.change_timers import change_timers
from scheduler.ports import Timers


def table(
    store: Timers, *, kinds: Mapping[str, KindTerms], wake: Callable[[], None]
) -> tuple[Subscription, ...]:
    both = partial(change_timers, store=store, kinds=kinds, wake=wake)
    return (
        Subscription(
            stream="SCHEDULER",
            consumer="scheduler",
            routes=(
                Route(message=scheduler.ScheduleTimer, handler=both, batch=True),
                Route(message=scheduler.CancelTimer, handler=both, batch=True),
            ),
        ),
    )
