"""What billing answers: reads, each within two seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from billing.domain.pace import Pace
from billing.domain.terms import Terms
from billing.handlers.get_balance import get_balance
from billing.handlers.get_history import get_history
from billing.handlers.get_price import get_price
from billing.handlers.get_queue_position import get_queue_position
from billing.ports import Reads
from chassis.clock import Clock
from contracts import billing
from contracts.catalogue import Workflow
from contracts.envelope import Reply, Request

Answer = tuple[type[Request], Callable[[Any], Awaitable[Reply]]]


def table(
    *,
    reads: Reads,
    clock: Clock,
    pace: Pace,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
    history_page_max: int,
) -> tuple[Answer, ...]:
    balance = partial(get_balance, reads=reads, clock=clock, terms=terms)
    price = partial(get_price, reads=reads, clock=clock, catalogue=catalogue, terms=terms)
    history = partial(get_history, reads=reads, page_max=history_page_max)
    position = partial(get_queue_position, reads=reads, clock=clock, pace=pace)
    return (
        (billing.GetBalance, balance),
        (billing.GetPrice, price),
        (billing.GetHistory, history),
        (billing.GetQueuePosition, position),
    )
