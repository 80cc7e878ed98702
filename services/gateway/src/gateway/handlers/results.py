"""Queues the messages that bring a result: once per order and file, however often asked."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.outbox import UnitOfWork
from contracts.ids import OrderId
from contracts.media import MediaRef
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screens import outcome
from gateway.handlers.audience import Audience
from gateway.ports import RESULT, Shop


async def queue(
    uow: UnitOfWork,
    person: Audience,
    outputs: Sequence[MediaRef],
    *,
    order_id: OrderId,
    title: str,
    note: str,
    shown: OrderScreen | None,
    shop: Shop,
) -> None:
    for part, output in enumerate(outputs):
        await shop.deliveries.queue(
            uow,
            user_id=person.user_id,
            screen=outcome.result(
                person.say, output, title, note=note, shown=shown, order_id=order_id
            ),
            kind=RESULT,
            order_id=order_id,
            part=part,
        )
