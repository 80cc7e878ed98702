"""refund_stars: give a Stars payment back, and say how that ended."""

from __future__ import annotations

import msgspec

from chassis.effects import Effect, EffectKind, EffectResult
from chassis.errors import TransientError
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.gateway import RefundStars, StarsRefundRecorded
from gateway.handlers.stars_calls import ATTEMPTS_MAX, LASTS_MAX
from gateway.ports import Shop, Stars, StarsRefusedError

EFFECT = "refund_stars"


async def refund_stars(command: RefundStars, uow: UnitOfWork, *, shop: Shop) -> None:
    """Every command is a call of its own: a refund that was refused may be asked for again."""
    uow.effect(EFFECT, f"{EFFECT}:{command.charge_id}:{shop.new_id()}", command.encode())


def effect(stars: Stars) -> EffectKind:
    """The call itself. Made twice, Telegram says that it was done already."""

    async def call(effect: Effect) -> EffectResult:
        command = RefundStars.decode(effect.body)
        try:
            await stars.refund(command.user_id, command.charge_id)
        except StarsRefusedError as error:
            code = error.code
            return EffectResult.failed(code, lambda uow: _record(command, uow, code))
        except TransientError as error:
            return EffectResult.retry(type(error).__name__, error.retry_after)
        return EffectResult.done(lambda uow: _record(command, uow, ""))

    async def gave_up(effect: Effect, uow: UnitOfWork) -> None:
        await _record(RefundStars.decode(effect.body), uow, errors.PROVIDER_FAILED)

    return EffectKind(
        name=EFFECT, call=call, gave_up=gave_up, attempts_max=ATTEMPTS_MAX, lease=LASTS_MAX
    )


async def _record(command: RefundStars, uow: UnitOfWork, code: str) -> None:
    fields = msgspec.structs.asdict(command)
    uow.emit(StarsRefundRecorded(**fields, code=code))
