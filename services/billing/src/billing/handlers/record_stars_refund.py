"""stars_refund_recorded: Telegram gave a payment back, asked or not, or refused to."""

from __future__ import annotations

import msgspec

from billing.domain import charges
from billing.handlers import refund_charge, take_back
from billing.ports.payments import EVENT_REFUNDED, WAY_CHAT, ProviderEvent, Till
from chassis import logs
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.gateway import StarsRefundRecorded
from contracts.payments import STARS

log = logs.get("billing.payments")
ALREADY_DONE = frozenset({"", "CHARGE_ALREADY_REFUNDED", "already_refunded"})
"""What Telegram says when the money is back with the payer."""


async def record_stars_refund(event: StarsRefundRecorded, uow: UnitOfWork, *, till: Till) -> None:
    charge = await till.charges.find(uow.connection, STARS, event.charge_id)
    given_back = event.code in ALREADY_DONE
    if given_back:
        told = ProviderEvent(
            f"{EVENT_REFUNDED}:{event.charge_id}",
            EVENT_REFUNDED,
            "",
            None,
            event.charge_id,
            0,
            "",
            uow.now,
            msgspec.json.encode(event),
            event.user_id,
        )
        await till.payments.keep_event(uow.connection, told, STARS, WAY_CHAT, uow.now)
    if charge is None:
        # Its payment comes later, and finds the note just kept.
        log.warning("refund_of_unknown_charge", given_back=given_back)
    elif given_back:
        await take_back.unasked(uow, till, charge, charged_back=False)
    elif charge.state == charges.REFUNDING and event.code == errors.PROVIDER_FAILED:
        await refund_charge.lose_sight(uow, till, charge)
    elif charge.state == charges.REFUNDING:
        await take_back.give_again(uow, till, charge, event.code)
