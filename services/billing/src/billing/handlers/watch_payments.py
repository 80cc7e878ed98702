"""watch_payments: a tick says that providers may have news; each payment's own row decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC

from billing.domain import payments
from billing.domain.payments import Payment
from billing.handlers import refund_charge, tell
from billing.handlers.record_provider_event import record_provider_events
from billing.ports.payments import (
    WAY_POLL,
    WAY_STATEMENT,
    Created,
    PaymentProvider,
    ProviderEvent,
    ProviderRefusedError,
    ProviderState,
    Till,
    TokenRefusedError,
)
from chassis.clock import Clock
from chassis.database import Database
from chassis.effects import Effect, EffectKind, EffectResult, Record
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.ids import PaymentId, UserId
from contracts.payments import WatchPayments

EFFECT = "watch"
LOST_MAX = 20
"""So many invoices that were given up are looked for in one round."""
ATTEMPTS_MAX = 2
"""The next tick asks again anyway."""


async def watch_payments(tick: WatchPayments, uow: UnitOfWork, *, till: Till) -> None:
    connection, rows_max = uow.connection, till.terms.rows_max
    moment = tick.due_at.astimezone(UTC).isoformat()
    overdue: list[tuple[PaymentId, UserId]] = []
    unclear: dict[str, list[tuple[str, UserId]]] = {}
    for name, capabilities in till.on.items():
        unclear[name] = await till.charges.unclear(connection, name, rows_max)
        if capabilities.in_chat:
            overdue += await till.payments.overdue(connection, name, uow.now, rows_max)
        elif capabilities.polling:
            uow.effect(EFFECT, f"{EFFECT}:{name}:{moment}", name.encode())
    # All at once and first: locks taken in two goes could wait for each other in a circle.
    owners = {user_id for _, user_id in overdue}
    owners.update(user_id for lost in unclear.values() for _, user_id in lost)
    await till.books.accounts.lock(connection, sorted(owners))
    await _expire(uow, till, overdue)
    for name, lost in unclear.items():
        if lost and await _is_time(uow, till, name):
            for charge_id, _ in lost:
                await refund_charge.ask_again(uow, till, name, charge_id)


async def _is_time(uow: UnitOfWork, till: Till, provider: str) -> bool:
    """Whether the provider's daily round is due; one in a chat has no other than this."""
    state = await till.payments.state_of(uow.connection, provider)
    since = state.reconciled_at
    due = since is None or uow.now - since >= till.terms.reconcile_every
    if not till.on[provider].in_chat:
        return due
    if due:
        await till.payments.save_state(uow.connection, replace(state, reconciled_at=uow.now))
    # From the first sight of an unclear refund a day is waited: it was tried for hours just now.
    return due and since is not None


async def _expire(uow: UnitOfWork, till: Till, overdue: Sequence[tuple[PaymentId, UserId]]) -> None:
    """Invoices nobody is asked about end by their time; a late payment still counts."""
    connection = uow.connection
    for payment_id, _ in overdue:
        payment = await till.payments.find(connection, payment_id)
        if payment is None or payment.expires_at is None or payment.expires_at > uow.now:
            continue
        if payments.end_unpaid(payment, payments.EXPIRED, errors.EXPIRED):
            payment.check_due_at = None
            await till.payments.save(connection, payment)
            tell.failed(uow, payment, errors.EXPIRED)


def effect(
    till: Till, providers: Mapping[str, PaymentProvider], database: Database, clock: Clock
) -> EffectKind:
    """One round of asking a provider: about open invoices, and now and then about all."""

    async def call(effect: Effect) -> EffectResult:
        name = effect.body.decode()
        provider = providers.get(name)
        if provider is None:
            return EffectResult.done()
        now = clock.now()
        async with database.read() as connection:
            state = await till.payments.state_of(connection, name)
            due = await till.payments.due(connection, name, now, till.terms.rows_max)
        try:
            if state.suspended_reason:
                await provider.check()
                return EffectResult.done(_resume(till, name))
            since = state.reconciled_at
            if since is None or now - since >= till.terms.reconcile_every:
                found, cursor = await provider.list_since(state.cursor)
                return EffectResult.done(_reconciled(till, name, found, cursor))
            made = await _look_up(provider, due)
            refs = [each.provider_ref for each in due if each.provider_ref is not None]
            refs += [each.provider_ref for each in made.values()]
            events = await provider.fetch(refs) if refs else []
        except TokenRefusedError:
            return EffectResult.done(_suspend(till, name))
        except ProviderRefusedError as error:
            return EffectResult.failed(str(error))
        return EffectResult.done(_found(till, name, due, events, made))

    return EffectKind(name=EFFECT, call=call, attempts_max=ATTEMPTS_MAX)


async def _look_up(provider: PaymentProvider, due: list[Payment]) -> dict[PaymentId, Created]:
    """Invoices that were given up, and made all the same: what is paid on one is to be seen."""
    lost = [each.payment_id for each in due if each.provider_ref is None][:LOST_MAX]
    found = {payment_id: await provider.find(payment_id) for payment_id in lost}
    return {payment_id: created for payment_id, created in found.items() if created is not None}


def _found(
    till: Till,
    name: str,
    due: list[Payment],
    events: list[ProviderEvent],
    made: Mapping[PaymentId, Created],
) -> Record:
    async def record(uow: UnitOfWork) -> None:
        # All at once and first: locks taken in two goes could wait for each other in a circle.
        owners = sorted({each.user_id for each in due})
        await till.books.accounts.lock(uow.connection, owners)
        await record_provider_events(events, uow, till=till, provider=name, way=WAY_POLL)
        for each in due:
            payment = await till.payments.find(uow.connection, each.payment_id)
            assert payment is not None
            if each.payment_id in made and payment.provider_ref is None:
                late = made[each.payment_id]
                payments.offer_to_pay(payment, late.provider_ref, late.pay_url, late.expires_at)
            payment.checked_at = uow.now
            payment.check_due_at = payments.next_check(payment, uow.now)
            await till.payments.save(uow.connection, payment)

    return record


def _reconciled(till: Till, name: str, events: list[ProviderEvent], cursor: str) -> Record:
    async def record(uow: UnitOfWork) -> None:
        news = await record_provider_events(
            events, uow, till=till, provider=name, way=WAY_STATEMENT
        )
        state = await till.payments.state_of(uow.connection, name)
        state = replace(state, cursor=cursor, reconciled_at=uow.now)
        await till.payments.save_state(uow.connection, state)
        if news:
            tell.alarmed(uow, name, errors.STATEMENT_DIFFERS, f"{news} charges were not known")

    return record


def _suspend(till: Till, name: str) -> Record:
    async def record(uow: UnitOfWork) -> None:
        state: ProviderState = await till.payments.state_of(uow.connection, name)
        if not state.suspended_reason:
            state = replace(state, suspended_reason=errors.TOKEN_REFUSED)
            await till.payments.save_state(uow.connection, state)
            tell.alarmed(uow, name, errors.TOKEN_REFUSED)

    return record


def _resume(till: Till, name: str) -> Record:
    async def record(uow: UnitOfWork) -> None:
        state = await till.payments.state_of(uow.connection, name)
        await till.payments.save_state(uow.connection, replace(state, suspended_reason=""))

    return record
