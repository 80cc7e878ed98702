"""change_subscription: ask Telegram to stop or resume renewals; its answer changes the record."""

from __future__ import annotations

from billing.domain.errors import AlreadyFinishedError, NotYoursError, PaymentRefusedError
from billing.ports.payments import Till
from chassis import logs
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.gateway import EditStarsSubscription
from contracts.payments import ChangeSubscription

log = logs.get("billing.payments")


async def change_subscription(command: ChangeSubscription, uow: UnitOfWork, *, till: Till) -> None:
    if not await uow.is_last_word(f"subscription:{command.charge_id}:asked"):
        log.info("change_overtaken", cancelled=command.cancelled)
        return
    found = await till.charges.subscription(uow.connection, charge_id=command.charge_id)
    if found is None:
        raise PaymentRefusedError(code=errors.UNKNOWN_PAYMENT)
    if found.user_id != command.user_id:
        raise NotYoursError
    if found.until <= uow.now:
        raise AlreadyFinishedError
    # Stopping one whose money went back harms nobody; resumed, it would charge for nothing.
    resumed = not command.cancelled
    if resumed and await till.charges.is_given_back(uow.connection, found.payment_id):
        raise AlreadyFinishedError
    ask = EditStarsSubscription(
        user_id=found.user_id, charge_id=found.charge_id, cancelled=command.cancelled
    )
    uow.emit(ask)
