"""cancel_payment: the payer does not want it any more; late money is credited all the same."""

from __future__ import annotations

from billing.domain import payments
from billing.domain.errors import PaymentRefusedError
from billing.handlers import tell
from billing.ports.payments import Till
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.payments import CancelPayment


async def cancel_payment(command: CancelPayment, uow: UnitOfWork, *, till: Till) -> None:
    payment = await till.payments.find(uow.connection, command.payment_id)
    if payment is None:
        raise PaymentRefusedError(code=errors.UNKNOWN_PAYMENT)
    before = payment.version
    payments.cancel(payment, command.user_id)
    if payment.version != before:
        payment.check_due_at = payments.next_check(payment, uow.now)
        await till.payments.save(uow.connection, payment)
        tell.failed(uow, payment, errors.CANCELLED)
