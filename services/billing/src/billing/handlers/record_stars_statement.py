"""stars_statement_read: what Telegram booked is compared with what we did; its word stands."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from billing.domain.charges import CHARGE_ID_MAX, Paid
from billing.domain.currencies import MINOR_MAX, STARS_CURRENCY
from billing.handlers import credit, take_back, tell
from billing.ports.payments import (
    EVENT_PAID,
    EVENT_REFUNDED,
    WAY_STATEMENT,
    ProviderEvent,
    Till,
)
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.gateway import StarsStatementRead, StarsTransaction
from contracts.ids import USER_ID_MAX, UserId
from contracts.payments import STARS

STATED = "statement"
UNHEARD_AFTER = timedelta(minutes=10)
"""A payment booked so long ago should have been told in its chat: if not, somebody should look."""


async def record_stars_statement(event: StarsStatementRead, uow: UnitOfWork, *, till: Till) -> None:
    unheard = strange = 0
    for line in event.transactions:
        if line.user_id is None or not line.amount_minor:
            continue  # a withdrawal, an advertisement: not a person's payment
        if not _is_sane(line, line.user_id):
            strange += 1  # it must not keep the others of its page from being booked
            continue
        kind = EVENT_PAID if line.amount_minor > 0 else EVENT_REFUNDED
        if line.invoice_payload or kind == EVENT_REFUNDED:
            # Also where a chat told it first: a reconciliation asks what the statement has.
            await _keep(line, kind, f"{STATED}:{kind}:{line.charge_id}", uow, till)
        if line.amount_minor > 0:
            found = await _paid(line, uow, till)
        else:
            found = await _refunded(line, uow, till)
        unheard += found and event.read_at - line.at > UNHEARD_AFTER
    if unheard:
        tell.alarmed(uow, STARS, errors.STATEMENT_DIFFERS, f"{unheard} not told in a chat")
    if strange:
        tell.alarmed(uow, STARS, errors.STATEMENT_DIFFERS, f"{strange} lines make no sense")


def _is_sane(line: StarsTransaction, user_id: UserId) -> bool:
    """Whether the books can hold it at all."""
    named = 1 <= len(line.charge_id) <= CHARGE_ID_MAX and _is_plain(line.charge_id)
    dated = line.at.tzinfo is not None
    return named and dated and abs(line.amount_minor) <= MINOR_MAX and 0 <= user_id <= USER_ID_MAX


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


async def _paid(line: StarsTransaction, uow: UnitOfWork, till: Till) -> bool:
    assert line.user_id is not None
    if not line.invoice_payload:
        return False  # a gift or a paid reaction: it pays no invoice
    if await till.charges.find(uow.connection, STARS, line.charge_id) is not None:
        return False
    sealed = till.seal.open(line.invoice_payload) if till.seal is not None else None
    payment_id = sealed.payment_id if sealed is not None else None
    before = 0
    if payment_id is not None:
        counts = await till.charges.counts(uow.connection, [payment_id])
        before = counts.get(payment_id, 0)
    paid = Paid(
        STARS,
        line.charge_id,
        line.amount_minor,
        STARS_CURRENCY,
        line.at,
        payment_id=payment_id,
        user_id=line.user_id,
        recurring=before > 0,
    )
    await _keep(line, EVENT_PAID, f"{EVENT_PAID}:{line.charge_id}", uow, till)
    return await credit.record_paid(uow, till, paid) != credit.KNOWN


async def _refunded(line: StarsTransaction, uow: UnitOfWork, till: Till) -> bool:
    await _keep(line, EVENT_REFUNDED, f"{EVENT_REFUNDED}:{line.charge_id}", uow, till)
    charge = await till.charges.find(uow.connection, STARS, line.charge_id)
    if charge is None:
        return False
    before = charge.state
    await take_back.unasked(uow, till, charge, charged_back=False)
    return charge.state != before


async def _keep(line: StarsTransaction, kind: str, key: str, uow: UnitOfWork, till: Till) -> None:
    told = ProviderEvent(
        key,
        kind,
        # One that we did not write is kept in the line's raw bytes alone.
        line.invoice_payload if _is_plain(line.invoice_payload) else "",
        None,
        line.charge_id,
        abs(line.amount_minor),
        STARS_CURRENCY,
        line.at,
        msgspec.json.encode(line),
    )
    await till.payments.keep_event(uow.connection, told, STARS, WAY_STATEMENT, uow.now)
