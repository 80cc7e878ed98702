"""Tell both that an invitation was followed."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import ReferralJoined
from gateway.domain.screens import rewards
from gateway.handlers import audience
from gateway.ports import Shop


async def referral_joined(event: ReferralJoined, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, rewards.referral_joined(person.say), shop=shop)
    if event.newcomer_credits > 0:
        newcomer = await audience.find(uow, event.newcomer_id, shop=shop)
        screen = rewards.referral_welcome(newcomer.say, event.newcomer_credits)
        await newcomer.tell(uow, screen, shop=shop)
