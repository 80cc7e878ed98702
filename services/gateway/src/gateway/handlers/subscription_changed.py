"""Say whether a subscription renews; a payment for one says so itself."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.payments import SubscriptionChanged
from gateway.domain.screens import plans
from gateway.handlers import audience
from gateway.ports import Shop


async def subscription_changed(event: SubscriptionChanged, uow: UnitOfWork, *, shop: Shop) -> None:
    if event.by_payment:
        return
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, plans.subscription_changed(person.say, event, person.zone), shop=shop)
