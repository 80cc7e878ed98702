"""Everything one simulated shop consists of, and what a payment goes through."""

from decimal import Decimal

from simulators.provider.core import ProviderCore
from simulators.telegram.errors import ControlError
from simulators.yookassa.faults import Faults
from simulators.yookassa.idempotence import Answers
from simulators.yookassa.options import Options
from simulators.yookassa.payments import (
    CANCELED,
    PENDING,
    SUCCEEDED,
    WAITING,
    Payment,
    Refund,
    Things,
)
from simulators.yookassa.views import payment_view, refund_view
from simulators.yookassa.webhooks import WebhookSender

# A card's money is held so long for a shop that captures later.
CAPTURE_SECONDS = 7 * 86_400.0


class Core(ProviderCore[Options, Faults, WebhookSender]):
    def __init__(self, options: Options) -> None:
        super().__init__(options, Faults(options.seed), WebhookSender)
        self.payments = Things(Payment, self.store)
        self.refunds = Things(Refund, self.store)
        self.answers = Answers(self.clock, self.store)
        self._receipts = options.receipts

    def clear(self) -> None:
        self.payments.clear()
        self.refunds.clear()
        self.answers.clear()
        self.options.receipts = self._receipts

    async def live(self) -> None:
        """Cancel what nobody paid in time."""
        while True:
            self.cancel_overdue()
            waiting = [each.expires_at for each in self.payments.newest_first() if is_open(each)]
            # No payment made meanwhile can end sooner than the shortest life from now.
            await self.clock.wait_until(
                min(waiting, default=self.clock.now() + self.options.payment_seconds)
            )

    def cancel_overdue(self) -> None:
        now = self.clock.now()
        for payment in list(self.payments.newest_first()):
            if is_open(payment) and payment.expires_at <= now:
                expire(self, payment)


def is_open(payment: Payment) -> bool:
    return payment.status in {PENDING, WAITING}


def tell(core: Core, payment: Payment) -> None:
    """The payment came to a new status: keep it and send a webhook."""
    core.payments.changed(payment)
    view = payment_view(payment, core.options, core.base_url)
    core.webhooks.send(f"payment.{payment.status}", view)


def pay(core: Core, payment: Payment, *, value: str | None = None, force: bool = False) -> None:
    """A person pays. `force`: money that comes although the payment was canceled."""
    if payment.status != PENDING and not (force and payment.status == CANCELED):
        raise ControlError(f"the payment is {payment.status}", 409)
    declined = core.faults.about("decline", payment.id)
    if declined is not None:
        decline(core, payment, declined.reason)
        return
    fault = core.faults.about("wrong_amount", payment.id)
    if fault is not None:
        value = f"{Decimal(fault.amount or Decimal(payment.value) / 2):.2f}"
    payment.value = value or payment.value
    payment.cancel_party = payment.cancel_reason = None
    if payment.capture:
        capture(core, payment)
        return
    payment.status = WAITING
    payment.expires_at = core.clock.now() + CAPTURE_SECONDS
    tell(core, payment)


def capture(core: Core, payment: Payment) -> None:
    payment.status = SUCCEEDED
    payment.captured_at = core.clock.now()
    tell(core, payment)
    if core.faults.about("charge_back", payment.id) is not None:
        charge_back(core, payment)


def charge_back(core: Core, payment: Payment) -> Refund:
    """The payer's bank takes back what is left of the money: the shop was not asked."""
    left = Decimal(payment.value) - Decimal(payment.refunded)
    if payment.status != SUCCEEDED or not left:
        raise ControlError(f"the payment is {payment.status}, {left} of it can be taken back", 409)
    refund = core.refunds.make(
        payment_id=payment.id,
        value=f"{left:.2f}",
        created_at=core.clock.now(),
        status=PENDING,
        description="Chargeback",
    )
    finish_refund(core, refund, SUCCEEDED)
    return refund


def decline(core: Core, payment: Payment, reason: str | None = None) -> None:
    """The payer's bank says no."""
    if payment.status != PENDING:
        raise ControlError(f"the payment is {payment.status}", 409)
    cancel(core, payment, "payment_network", reason or "general_decline")


def expire(core: Core, payment: Payment) -> None:
    if not is_open(payment):
        raise ControlError(f"the payment is {payment.status}", 409)
    late = "expired_on_confirmation" if payment.status == PENDING else "expired_on_capture"
    cancel(core, payment, "yoo_money", late)


def cancel(core: Core, payment: Payment, party: str, reason: str) -> None:
    payment.status = CANCELED
    payment.cancel_party = party
    payment.cancel_reason = reason
    tell(core, payment)


def finish_refund(core: Core, refund: Refund, status: str, reason: str | None = None) -> None:
    """The payer's bank took the money back, or did not; there is no webhook for the latter."""
    payment = core.payments.get(refund.payment_id)
    assert payment is not None, "a refund is of a payment"
    refund.status = status
    refund.cancel_reason = reason
    core.refunds.changed(refund)
    if status == SUCCEEDED:
        payment.refunded = f"{Decimal(payment.refunded) + Decimal(refund.value):.2f}"
        core.payments.changed(payment)
        core.webhooks.send("refund.succeeded", refund_view(refund))
