"""refund_charge: take back what it bought, then have its provider give the money back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from billing.domain import charges
from billing.domain.errors import InvalidError, NotYoursError, PaymentRefusedError
from billing.handlers import operator_action, take_back, tell
from billing.ports.payments import (
    Capabilities,
    PaymentProvider,
    ProviderRefusedError,
    Refused,
    Till,
    TokenRefusedError,
)
from chassis.consumers import Received
from chassis.database import Database
from chassis.effects import Effect, EffectKind, EffectResult
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.errors import RefusalError
from contracts.gateway import RefundStars
from contracts.payments import RefundCharge

EFFECT = "refund"
ATTEMPTS_MAX = 20
ACTION = "refund_charge"
AGAIN = "asked again"


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """What a refund's effect row carries: ids alone."""

    provider: str
    charge_id: str


async def refund_charge(command: RefundCharge, uow: UnitOfWork, *, till: Till) -> None:
    connection = uow.connection
    charge = await till.charges.find(connection, command.provider, command.charge_id)
    if charge is None:
        raise PaymentRefusedError(code=errors.UNKNOWN_PAYMENT)
    if charge.user_id != command.user_id:
        raise NotYoursError
    capabilities = till.on.get(command.provider)
    if capabilities is None or not capabilities.refunds:
        raise PaymentRefusedError(code=errors.PROVIDER_OFF)
    if charge.state == charges.REFUNDING and not charges.is_unclear(charge):
        return
    part = command.amount_minor
    if part is not None and part < charge.left_minor and not capabilities.partial_refunds:
        raise PaymentRefusedError(code=errors.UNSUPPORTED)
    if not command.reason.strip() or not command.actor:
        raise InvalidError("a refund has a reason and somebody who makes it")
    credited = charge.state == charges.PAID
    charges.begin_refund(charge, reason=command.reason, actor=command.actor, amount_minor=part)
    if credited:
        await take_back.take(uow, till, charge)
    await till.charges.save(connection, charge)
    _ask_for(uow, charge, capabilities)
    await operator_action.done(uow, till, ACTION, command, command.charge_id)


def _ask_for(uow: UnitOfWork, charge: charges.Charge, capabilities: Capabilities) -> None:
    if capabilities.in_chat:
        uow.emit(RefundStars(user_id=charge.user_id, charge_id=charge.charge_id))
        return
    asked = msgspec.json.encode(Asked(charge.provider, charge.charge_id))
    # A refund that was refused may be asked for again: it is another effect.
    key = f"{EFFECT}:{charge.provider}:{charge.charge_id}:{charge.version}"
    uow.effect(EFFECT, key, asked)


async def ask_again(uow: UnitOfWork, till: Till, provider: str, charge_id: str) -> None:
    """Drive a refund nobody waits for any more; its owner is locked.

    Providers take the same refund once, so asking again is safe, and only an answer says more.
    """
    charge = await till.charges.find(uow.connection, provider, charge_id)
    if charge is None or not charges.is_unclear(charge):
        return
    charges.begin_refund(charge, reason=AGAIN, actor=charge.actor)
    await till.charges.save(uow.connection, charge)
    _ask_for(uow, charge, till.on[provider])


async def not_refunded(
    uow: UnitOfWork, each: Received[Any], error: RefusalError, *, till: Till
) -> None:
    await operator_action.refused(uow, till, ACTION, each, each.message.charge_id, error)


def effect(till: Till, providers: Mapping[str, PaymentProvider], database: Database) -> EffectKind:
    """The call that gives the money back; the provider knows it by an id of ours."""

    async def call(effect: Effect) -> EffectResult:
        asked = msgspec.json.decode(effect.body, type=Asked)
        provider = providers.get(asked.provider)
        if provider is None:
            return EffectResult.retry("the provider is switched off")
        async with database.read() as connection:
            charge = await till.charges.find(connection, asked.provider, asked.charge_id)
        if charge is None or charge.state != charges.REFUNDING:
            return EffectResult.done()
        try:
            answer = await provider.refund(charge, refund_id_of(charge))
        except TokenRefusedError:
            return EffectResult.retry(errors.TOKEN_REFUSED)
        except ProviderRefusedError as error:
            answer = Refused(str(error))
        code = answer.code if isinstance(answer, Refused) else ""

        async def record(uow: UnitOfWork) -> None:
            await record_answer(uow, till, asked, code)

        return EffectResult.done(record)

    async def gave_up(effect: Effect, uow: UnitOfWork) -> None:
        await record_unclear(uow, till, msgspec.json.decode(effect.body, type=Asked))

    return EffectKind(
        name=EFFECT, call=call, reconcile=call, gave_up=gave_up, attempts_max=ATTEMPTS_MAX
    )


def refund_id_of(charge: charges.Charge) -> str:
    """One per charge and part, for ever: asked twice, the money goes back once."""
    if charge.refunding_minor == charge.amount_minor:
        return f"refund-{charge.charge_id}"
    return f"refund-{charge.charge_id}-{charge.refunded_minor}-{charge.refunding_minor}"


async def record_answer(uow: UnitOfWork, till: Till, asked: Asked, code: str) -> None:
    """The provider's answer: `code` empty, the money is on its way back."""
    charge = await _refunding(uow, till, asked)
    if charge is None:
        return
    if code:
        await take_back.give_again(uow, till, charge, code)
    else:
        await take_back.answered(uow, till, charge)


async def record_unclear(uow: UnitOfWork, till: Till, asked: Asked) -> None:
    charge = await _refunding(uow, till, asked)
    if charge is not None:
        await lose_sight(uow, till, charge)


async def lose_sight(uow: UnitOfWork, till: Till, charge: charges.Charge) -> None:
    """Nobody knows whether the money went back: nothing is given again, somebody must look.

    What the provider says of it later counts; asked for again, it is the same refund there.
    """
    charges.lose_sight(charge)
    await till.charges.save(uow.connection, charge)
    detail = f"refund of {charge.charge_id} is unclear, ask for it again"
    tell.alarmed(uow, charge.provider, errors.PROVIDER_FAILED, detail)


async def _refunding(uow: UnitOfWork, till: Till, asked: Asked) -> charges.Charge | None:
    """The charge, its owner locked; None: its refund has ended."""
    connection = uow.connection
    owners = await till.charges.owners(connection, asked.provider, [asked.charge_id])
    await till.books.accounts.lock(connection, list(owners.values()))
    charge = await till.charges.find(connection, asked.provider, asked.charge_id)
    return charge if charge is not None and charge.state == charges.REFUNDING else None
