"""Say that an operator changed a balance, and why."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.operators import CreditsAdjusted
from gateway.domain.screens import payment
from gateway.handlers import audience
from gateway.ports import Shop


async def credits_adjusted(event: CreditsAdjusted, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, payment.adjusted(person.say, event), shop=shop)
