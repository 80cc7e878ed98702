"""Tell a person what an invitation of theirs brought."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import ReferralEarned
from gateway.domain.screens import rewards
from gateway.handlers import audience
from gateway.ports import Shop


async def referral_earned(event: ReferralEarned, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, rewards.referral_earned(person.say, event), shop=shop)
