"""Say that an operator gave credits of a finished order back, how many and why."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.operators import OrderCreditedBack
from gateway.domain.screens import payment
from gateway.handlers import audience
from gateway.ports import Shop


async def order_credited_back(event: OrderCreditedBack, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    title = shop.title(person.say, event.workflow_id)
    await person.tell(uow, payment.credited_back(person.say, event, title), shop=shop)
