"""stars_subscription_edited: Telegram stopped or resumed the renewals, or refused to."""

from __future__ import annotations

from billing.handlers import tell
from billing.ports.payments import Till
from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.gateway import StarsSubscriptionEdited

log = logs.get("billing.payments")


async def record_subscription_edited(
    event: StarsSubscriptionEdited, uow: UnitOfWork, *, till: Till
) -> None:
    found = await till.charges.subscription(uow.connection, charge_id=event.charge_id)
    if found is None:
        log.warning("edit_of_unknown_subscription", code=event.code)
        return
    # Its ends are told in their order, but may come in another one.
    newest = not event.code and await uow.is_last_word(tell.renewals_word(event.charge_id))
    if newest:
        found.state = "cancelled" if event.cancelled else "active"
    # Told also when nothing changed: whoever asked sees that it stayed as it was.
    found.version += 1
    await till.charges.save_subscription(uow.connection, found)
    tell.subscription(uow, found)
