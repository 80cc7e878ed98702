"""refund_stars: give a Stars payment back, and say how that ended."""

from __future__ import annotations

import msgspec

from chassis.effects import EffectKind
from chassis.outbox import UnitOfWork
from contracts.gateway import RefundStars, StarsRefundRecorded
from gateway.handlers.stars_calls import asking
from gateway.ports import Shop, Stars

EFFECT = "refund_stars"


async def refund_stars(command: RefundStars, uow: UnitOfWork, *, shop: Shop) -> None:
    """Every command is a call of its own: a refund that was refused may be asked for again."""
    uow.effect(EFFECT, f"{EFFECT}:{command.charge_id}:{shop.new_id()}", command.encode())


def effect(stars: Stars) -> EffectKind:
    async def refund(command: RefundStars) -> None:
        await stars.refund(command.user_id, command.charge_id)

    def recorded(command: RefundStars, code: str) -> StarsRefundRecorded:
        return StarsRefundRecorded(**msgspec.structs.asdict(command), code=code)

    return asking(EFFECT, RefundStars, refund, recorded)
