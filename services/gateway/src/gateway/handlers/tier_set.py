"""Tell a person which status they have now."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.billing import TierSet
from gateway.domain.screens import account
from gateway.handlers import audience
from gateway.ports import Shop


async def tier_set(event: TierSet, uow: UnitOfWork, *, shop: Shop) -> None:
    if event.cause:
        return  # whatever gave it tells the person itself
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, account.tier(person.say, event, person.zone), shop=shop)
