"""stars_paid: Telegram said in a chat that somebody paid; a renewal is a charge of its own."""

from __future__ import annotations

import msgspec

from billing.domain.charges import Paid
from billing.handlers import credit
from billing.ports.payments import EVENT_PAID, WAY_CHAT, ProviderEvent, Till
from chassis.outbox import UnitOfWork
from contracts.gateway import StarsPaid
from contracts.payments import STARS


async def record_stars_paid(event: StarsPaid, uow: UnitOfWork, *, till: Till) -> None:
    sealed = till.seal.open(event.invoice_payload) if till.seal is not None else None
    paid = Paid(
        STARS,
        event.charge_id,
        event.amount_minor,
        event.currency,
        event.paid_at,
        payment_id=sealed.payment_id if sealed is not None else None,
        user_id=event.user_id,
        recurring=event.recurring,
        first_recurring=event.first_recurring,
        subscription_until=event.subscription_until,
    )
    told = ProviderEvent(
        f"{EVENT_PAID}:{event.charge_id}",
        EVENT_PAID,
        event.invoice_payload,
        paid.payment_id,
        event.charge_id,
        event.amount_minor,
        event.currency,
        event.paid_at,
        event.raw or msgspec.json.encode(event),
        event.user_id,
    )
    await till.payments.keep_event(uow.connection, told, STARS, WAY_CHAT, uow.now)
    outcome = await credit.record_paid(uow, till, paid)
    await till.payments.note_outcome(uow.connection, STARS, told.event_key, outcome, uow.now)
