"""Tell a person that their trial credits are there again."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.billing import TrialRenewed
from gateway.domain.screens import account
from gateway.handlers import audience
from gateway.ports import Shop


async def trial_renewed(event: TrialRenewed, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, account.trial_renewed(person.say, event, person.zone), shop=shop)
