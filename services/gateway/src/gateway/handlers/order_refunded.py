"""Say that an order ended without a result, and that nothing was charged for it."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.billing import OrderRefunded
from gateway.domain import keys, order_screen
from gateway.domain.screens import outcome
from gateway.handlers import audience
from gateway.ports import EDIT, Shop


async def order_refunded(event: OrderRefunded, uow: UnitOfWork, *, shop: Shop) -> None:
    """Close the status message, and tell what the person did not ask for.

    Telegram announces no edit, so a failure comes as a message of its own as well.
    """
    shown = await shop.screens.find(uow, event.order_id)
    if shown is None or not order_screen.may_become(shown.state, order_screen.REFUNDED):
        return
    await shop.screens.save(uow, replace(shown, state=order_screen.REFUNDED))
    person = await audience.find(uow, shown.user_id, shop=shop)
    title = shop.title(person.say, shown.workflow_id)
    expected = outcome.was_cancelled(event) and shown.cancel_asked
    screen = outcome.refunded(person.say, event, shown, title)
    await shop.deliveries.queue(
        uow,
        user_id=shown.user_id,
        screen=screen if expected else outcome.stopped(person.say, event, title),
        kind=EDIT,
        key=keys.order(shown.order_id),
        final=True,
    )
    if not expected:
        await person.tell(uow, screen, shop=shop)
