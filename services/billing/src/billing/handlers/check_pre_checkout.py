"""pre_checkout: whether a Stars payment may go on; the same judgement as when money comes."""

from __future__ import annotations

from billing.domain import charges, payments, plans
from billing.domain.charges import Paid
from billing.ports import Reads
from billing.ports.payments import PaymentReads, Till
from chassis.clock import Clock
from contracts import errors
from contracts.errors import RefusalError
from contracts.payments import PRODUCT_PLAN, STARS, CheckPreCheckout, PreCheckoutAnswer


async def check_pre_checkout(
    request: CheckPreCheckout, *, till: Till, seen: PaymentReads, reads: Reads, clock: Clock
) -> PreCheckoutAnswer:
    code = await _code(request, till, seen, reads, clock)
    return PreCheckoutAnswer(ok=not code, code=code)


async def _code(
    request: CheckPreCheckout, till: Till, seen: PaymentReads, reads: Reads, clock: Clock
) -> str:
    now = clock.now()
    if STARS not in till.on or till.seal is None:
        return errors.PROVIDER_OFF
    sealed = till.seal.open(request.invoice_payload)
    payment = await seen.payment(sealed.payment_id) if sealed is not None else None
    paid = Paid(
        STARS,
        "",
        request.total_amount,
        request.currency,
        now,
        payment_id=sealed.payment_id if sealed is not None else None,
        user_id=request.user_id,
    )
    code = charges.mismatch(payment, paid, charges_before=0)
    if code or payment is None:
        return code
    if payment.state == payments.PAID and not payment.subscription_days:
        return errors.ALREADY_PAID
    if payment.state in payments.ENDED_UNPAID:
        return payment.reason or errors.EXPIRED
    late = payment.expires_at is not None and payment.expires_at <= now
    if late and payment.state != payments.PAID:
        return errors.EXPIRED
    account = await reads.account(request.user_id)
    if account is None:
        return errors.NO_ACCOUNT
    if payment.product == PRODUCT_PLAN:
        plan = till.offers.plans.get(payment.product_id)
        if plan is None:
            return errors.UNKNOWN_PRODUCT
        running = await seen.subscriptions(request.user_id, now)
        if any(each.keeps(plan.id, account, now) for each in running):
            return errors.ALREADY_SUBSCRIBED
        try:
            plans.check(account, plan.tier, now)
        except RefusalError as error:
            return error.code
    return ""
