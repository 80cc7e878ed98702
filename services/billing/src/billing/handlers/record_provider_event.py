"""What a provider said, by webhook, by poll or by statement: kept word for word, then applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from billing.domain import payments
from billing.domain.charges import Paid
from billing.handlers import credit, take_back, tell
from billing.ports.payments import (
    EVENT_CANCELLED,
    EVENT_CHARGED_BACK,
    EVENT_EXPIRED,
    EVENT_PAID,
    EVENT_PARTLY_REFUNDED,
    EVENT_REFUNDED,
    WAY_POLL,
    WAY_WEBHOOK,
    ProviderEvent,
    Till,
)
from chassis.outbox import UnitOfWork
from contracts import errors

IGNORED = "ignored"
ENDED = "ended"
GIVEN_BACK = "given_back"


async def record_provider_events(
    events: Sequence[ProviderEvent], uow: UnitOfWork, *, till: Till, provider: str, way: str
) -> int:
    """Apply them in one transaction. Returns how many charges were news to us."""
    await _lock(events, uow, till, provider)
    outcomes: list[str] = []
    for paid, together in groupby(events, key=lambda event: event.kind == EVENT_PAID):
        if paid:
            reports = [(_paid(event, provider), uow.traceparent) for event in together]
            outcomes += await credit.record_all(uow, till, reports)
        else:
            for event in together:
                # Kept first: a payment that comes after the news of its refund looks for it.
                new = await till.payments.keep_event(uow.connection, event, provider, way, uow.now)
                outcomes.append(await _apply(event, uow, till, provider))
                if new and event.kind == EVENT_PARTLY_REFUNDED:
                    await _tell_part(event, uow, till, provider)
    if events:
        handled = zip(events, outcomes, strict=True)
        await till.payments.keep_handled(uow.connection, handled, provider, way, uow.now)
    news = sum(outcome in (credit.CREDITED, credit.HELD) for outcome in outcomes)
    if news:
        await _compare_ways(uow, till, provider, way, news)
    if events and way == WAY_WEBHOOK:
        state = await till.payments.state_of(uow.connection, provider)
        state = replace(state, webhook_seen_at=uow.now, polled_first=0)
        await till.payments.save_state(uow.connection, state)
    return news


async def _lock(
    events: Sequence[ProviderEvent], uow: UnitOfWork, till: Till, provider: str
) -> None:
    connection = uow.connection
    ids = [event.payment_id for event in events if event.payment_id is not None]
    owners = set((await till.payments.owners(connection, ids)).values())
    charge_ids = [event.charge_id for event in events]
    charged = await till.charges.owners(connection, provider, charge_ids)
    owners.update(user_id for user_id in charged.values() if user_id)
    await till.books.accounts.lock(connection, sorted(owners))


def _paid(event: ProviderEvent, provider: str) -> Paid:
    return Paid(
        provider,
        event.charge_id,
        event.amount_minor,
        event.currency,
        event.at,
        payment_id=event.payment_id,
        user_id=event.user_id,
    )


async def _apply(event: ProviderEvent, uow: UnitOfWork, till: Till, provider: str) -> str:
    if event.kind in (EVENT_REFUNDED, EVENT_CHARGED_BACK):
        charge = await till.charges.find(uow.connection, provider, event.charge_id)
        if charge is None:
            return IGNORED
        back = event.kind == EVENT_CHARGED_BACK
        await take_back.unasked(uow, till, charge, charged_back=back)
        return GIVEN_BACK
    if event.kind == EVENT_PARTLY_REFUNDED:
        charge = await till.charges.find(uow.connection, provider, event.charge_id)
        gone = event.amount_minor
        known = charge is not None and await take_back.partly(uow, till, charge, gone)
        return GIVEN_BACK if known else IGNORED
    if event.kind in (EVENT_EXPIRED, EVENT_CANCELLED) and event.payment_id is not None:
        return await _end(event, uow, till)
    return IGNORED


async def _tell_part(event: ProviderEvent, uow: UnitOfWork, till: Till, provider: str) -> None:
    """Operators should know of what none of them asked for here."""
    charge = await till.charges.find(uow.connection, provider, event.charge_id)
    if charge is None or not charge.actor:
        part = f"{event.amount_minor} {event.currency} of {event.charge_id} went back"
        tell.alarmed(uow, provider, errors.STATEMENT_DIFFERS, part)


async def _end(event: ProviderEvent, uow: UnitOfWork, till: Till) -> str:
    assert event.payment_id is not None
    payment = await till.payments.find(uow.connection, event.payment_id)
    expired = event.kind == EVENT_EXPIRED
    state = payments.EXPIRED if expired else payments.CANCELLED
    code = errors.EXPIRED if expired else errors.CANCELLED
    if payment is None or not payments.end_unpaid(payment, state, code):
        return IGNORED
    await till.payments.save(uow.connection, payment)
    tell.failed(uow, payment, code)
    return ENDED


async def _compare_ways(uow: UnitOfWork, till: Till, provider: str, way: str, news: int) -> None:
    """Alarm, once, when payments are found by asking though webhooks should have told them."""
    if way != WAY_POLL or not till.on[provider].webhooks:
        return
    state = await till.payments.state_of(uow.connection, provider)
    before, most = state.polled_first, till.terms.polled_in_a_row_max
    state = replace(state, polled_first=before + news)
    await till.payments.save_state(uow.connection, state)
    if before < most <= state.polled_first:
        tell.alarmed(
            uow, provider, errors.WEBHOOKS_SILENT, f"{state.polled_first} payments without one"
        )
