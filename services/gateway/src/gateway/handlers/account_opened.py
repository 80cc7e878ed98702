"""Tell a newcomer about the trial credits."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.billing import AccountOpened
from gateway.domain.screens import menu
from gateway.handlers import audience
from gateway.ports import Shop


async def account_opened(event: AccountOpened, uow: UnitOfWork, *, shop: Shop) -> None:
    if event.trial_credits <= 0:
        return
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, menu.trial_opened(person.say, event.trial_credits), shop=shop)
