"""edit_stars_subscription: stop or resume the renewals of a subscription."""

from __future__ import annotations

import msgspec

from chassis.effects import Effect, EffectKind, EffectResult
from chassis.errors import TransientError
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.gateway import EditStarsSubscription, StarsSubscriptionEdited
from gateway.handlers.stars_calls import ATTEMPTS_MAX, LASTS_MAX
from gateway.ports import Shop, Stars, StarsRefusedError

EFFECT = "edit_stars_subscription"


async def edit_stars_subscription(
    command: EditStarsSubscription, uow: UnitOfWork, *, shop: Shop
) -> None:
    uow.effect(EFFECT, f"{EFFECT}:{command.charge_id}:{shop.new_id()}", command.encode())


def effect(stars: Stars) -> EffectKind:
    """The call itself. Made twice, it changes nothing more."""

    async def call(effect: Effect) -> EffectResult:
        command = EditStarsSubscription.decode(effect.body)
        try:
            await stars.edit_subscription(
                command.user_id, command.charge_id, cancelled=command.cancelled
            )
        except StarsRefusedError as error:
            code = error.code
            return EffectResult.failed(code, lambda uow: _record(command, uow, code))
        except TransientError as error:
            return EffectResult.retry(type(error).__name__, error.retry_after)
        return EffectResult.done(lambda uow: _record(command, uow, ""))

    async def gave_up(effect: Effect, uow: UnitOfWork) -> None:
        await _record(EditStarsSubscription.decode(effect.body), uow, errors.PROVIDER_FAILED)

    return EffectKind(
        name=EFFECT, call=call, gave_up=gave_up, attempts_max=ATTEMPTS_MAX, lease=LASTS_MAX
    )


async def _record(command: EditStarsSubscription, uow: UnitOfWork, code: str) -> None:
    fields = msgspec.structs.asdict(command)
    uow.emit(StarsSubscriptionEdited(**fields, code=code))
