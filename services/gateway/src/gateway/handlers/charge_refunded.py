"""Say that money went back, and what that took along."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.payments import ChargeRefunded
from gateway.domain.screens import payment
from gateway.handlers import audience
from gateway.ports import Shop


async def charge_refunded(event: ChargeRefunded, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, payment.refunded(person.say, event), shop=shop)
