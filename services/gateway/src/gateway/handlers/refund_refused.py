"""Say that money could not go back, and that nothing was taken."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.payments import RefundRefused
from gateway.domain.screens import payment
from gateway.handlers import audience
from gateway.ports import Shop


async def refund_refused(event: RefundRefused, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, payment.refund_refused(person.say, event), shop=shop)
