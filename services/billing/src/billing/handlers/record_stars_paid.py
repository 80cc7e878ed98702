"""stars_paid: Telegram said in a chat that somebody paid; a renewal is a charge of its own.

Hot: takes the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from billing.domain.charges import Paid
from billing.handlers import credit
from billing.ports.payments import EVENT_PAID, WAY_CHAT, ProviderEvent, Till
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.gateway import StarsPaid
from contracts.payments import STARS


async def record_stars_paid(
    received: Sequence[Received[StarsPaid]], uow: UnitOfWork, *, till: Till
) -> None:
    reports = [(_paid(each.message, till), each.traceparent) for each in received]
    outcomes = await credit.record_all(uow, till, reports)
    told = [_told(each.message, paid) for each, (paid, _) in zip(received, reports, strict=True)]
    handled = zip(told, outcomes, strict=True)
    await till.payments.keep_handled(uow.connection, handled, STARS, WAY_CHAT, uow.now)


def _paid(event: StarsPaid, till: Till) -> Paid:
    sealed = till.seal.open(event.invoice_payload) if till.seal is not None else None
    return Paid(
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


def _told(event: StarsPaid, paid: Paid) -> ProviderEvent:
    return ProviderEvent(
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
