"""change_subscription: ask Telegram to stop or resume renewals; its answer changes the record."""

from __future__ import annotations

from billing.domain.errors import AlreadyFinishedError, NotYoursError, PaymentRefusedError
from billing.ports.payments import Till
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.gateway import EditStarsSubscription
from contracts.payments import ChangeSubscription


async def change_subscription(command: ChangeSubscription, uow: UnitOfWork, *, till: Till) -> None:
    found = await till.charges.subscription(uow.connection, charge_id=command.charge_id)
    if found is None:
        raise PaymentRefusedError(code=errors.UNKNOWN_PAYMENT)
    if found.user_id != command.user_id:
        raise NotYoursError
    if found.until <= uow.now:
        raise AlreadyFinishedError
    if not command.cancelled:
        # Stopping one whose money went back harms nobody; resuming it would charge for nothing.
        live = await till.charges.subscriptions(uow.connection, found.user_id, uow.now)
        if found.charge_id not in {each.charge_id for each in live}:
            raise AlreadyFinishedError
    ask = EditStarsSubscription(
        user_id=found.user_id, charge_id=found.charge_id, cancelled=command.cancelled
    )
    uow.emit(ask)
