"""Warn a person about credits that will expire."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import LotExpiring
from gateway.domain.screens import rewards
from gateway.handlers import audience
from gateway.ports import Shop


async def lot_expiring(event: LotExpiring, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, rewards.expiring(person.say, event, person.zone), shop=shop)
