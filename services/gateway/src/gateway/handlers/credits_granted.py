"""Tell a person about credits they received."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.billing import CreditsGranted
from gateway.domain.screens import account
from gateway.handlers import audience
from gateway.ports import Shop


async def credits_granted(event: CreditsGranted, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, account.granted(person.say, event), shop=shop)
