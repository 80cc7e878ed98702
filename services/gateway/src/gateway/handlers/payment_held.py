"""Money came that does not match: calm the person, and tell the operators."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.payments import PaymentHeld
from gateway.domain.screens import payment
from gateway.handlers import audience, operators
from gateway.ports import Shop


async def payment_held(event: PaymentHeld, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, payment.held(person.say, event), shop=shop)
    await operators.tell(uow, lambda say: payment.operators_held(say, event), shop=shop)
