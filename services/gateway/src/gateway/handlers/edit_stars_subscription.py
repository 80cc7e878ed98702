"""edit_stars_subscription: stop or resume the renewals of a subscription."""

from __future__ import annotations

import msgspec

from chassis import logs
from chassis.effects import EffectKind
from chassis.outbox import UnitOfWork
from contracts.gateway import EditStarsSubscription, StarsSubscriptionEdited
from gateway.handlers.stars_calls import asking
from gateway.ports import Stars

log = logs.get("gateway.stars")
EFFECT = "edit_stars_subscription"


async def edit_stars_subscription(command: EditStarsSubscription, uow: UnitOfWork) -> None:
    about = f"{EFFECT}:{command.charge_id}"
    if not await uow.is_last_word(about):
        log.info("edit_overtaken", cancelled=command.cancelled)
        return
    uow.effect(EFFECT, uow.word_key(about), command.encode(), about=about)


def effect(stars: Stars) -> EffectKind:
    async def edit(command: EditStarsSubscription) -> None:
        await stars.edit_subscription(
            command.user_id, command.charge_id, cancelled=command.cancelled
        )

    def edited(command: EditStarsSubscription, code: str) -> StarsSubscriptionEdited:
        return StarsSubscriptionEdited(**msgspec.structs.asdict(command), code=code)

    return asking(EFFECT, EditStarsSubscription, edit, edited)
