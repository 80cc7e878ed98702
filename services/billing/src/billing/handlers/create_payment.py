"""create_payment: make the invoice; Stars at once, others by a call to their provider."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from billing.domain import payments, plans
from billing.domain.errors import NoAccountError, PaymentRefusedError, SameIdOtherBodyError
from billing.domain.payments import FAILED, PENDING, Payment
from billing.handlers import tell
from billing.ports.payments import (
    Created,
    PaymentProvider,
    ProviderAwayError,
    ProviderRefusedError,
    ProviderUnclearError,
    Till,
    TokenRefusedError,
)
from chassis.database import Database
from chassis.effects import Effect, EffectKind, EffectResult
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.ids import PaymentId
from contracts.payments import PRODUCT_PLAN, CreatePayment

EFFECT = "invoice"
ATTEMPTS_MAX = 4
"""A person waits for it: after these tries they are told that it failed."""
LOOK_UPS = 2
"""After a try that ended in silence its invoice is looked for so often, ever later, before
another is made: the first call may still be under way."""


async def create_payment(command: CreatePayment, uow: UnitOfWork, *, till: Till) -> None:
    connection = uow.connection
    known = await till.payments.find(connection, command.payment_id)
    if known is not None:
        if not payments.is_same(known, command):
            raise SameIdOtherBodyError
        if known.state == PENDING:
            capabilities = till.on.get(known.provider)
            if capabilities is None:
                raise PaymentRefusedError(code=errors.PROVIDER_OFF)
            tell.created(uow, known, till.seal if capabilities.in_chat else None)
        return
    on = frozenset(till.on) - await till.payments.suspended(connection)
    payment = payments.create(command, till.offers, on, uow.now)
    payment.traceparent = uow.traceparent
    accounts = await till.books.accounts.load(connection, [command.user_id])
    if command.user_id not in accounts:
        raise NoAccountError
    if payment.product == PRODUCT_PLAN:
        plan = till.offers.plans[payment.product_id]
        plans.check(accounts[command.user_id], plan.tier, uow.now)
        running = await till.charges.subscriptions(connection, command.user_id, uow.now)
        if any(each.keeps(plan.id, accounts[command.user_id], uow.now) for each in running):
            raise PaymentRefusedError(code=errors.ALREADY_SUBSCRIBED)
    payment.expires_at = uow.now + till.terms.valid
    if till.on[payment.provider].in_chat:
        payments.offer_to_pay(payment, str(payment.payment_id), "", payment.expires_at)
        payment.check_due_at = payment.expires_at
        tell.created(uow, payment, till.seal)
    else:
        uow.effect(EFFECT, f"{EFFECT}:{payment.payment_id}", payment.payment_id.bytes)
    await till.payments.add(connection, payment)


def effect(till: Till, providers: Mapping[str, PaymentProvider], database: Database) -> EffectKind:
    """The call to the provider: looked up before it is repeated, for it has no key of its own."""

    async def load(effect: Effect) -> Payment:
        async with database.read() as connection:
            payment = await till.payments.find(connection, _id(effect))
        assert payment is not None, "an invoice without its row"
        return payment

    def recorded(payment_id: PaymentId, created: Created) -> EffectResult:
        async def record(uow: UnitOfWork) -> None:
            await record_created(uow, till, payment_id, created)

        return EffectResult.done(record)

    async def call(effect: Effect) -> EffectResult:
        payment = await load(effect)
        provider = providers.get(payment.provider)
        if payment.state != payments.CREATED:
            return EffectResult.done()
        if provider is None:
            return failed(effect, errors.PROVIDER_OFF)
        try:
            return recorded(payment.payment_id, await provider.create(payment))
        except ProviderAwayError:
            return EffectResult.retry("not reached")
        except TokenRefusedError:
            return failed(effect, errors.PROVIDER_OFF)
        except ProviderRefusedError as error:
            return failed(effect, errors.PROVIDER_FAILED, str(error))

    async def reconcile(effect: Effect) -> EffectResult:
        payment = await load(effect)
        provider = providers.get(payment.provider)
        if provider is None or payment.provider_ref is not None:
            return EffectResult.retry("nothing to look up")
        try:
            found = await provider.find(payment.payment_id)
        except TokenRefusedError:
            return failed(effect, errors.PROVIDER_OFF)
        if found is None:
            turn = (effect.attempt - 1) % (LOOK_UPS + 1)
            if turn and not provider.capabilities.creates_once:
                raise ProviderUnclearError("not seen yet")
            return EffectResult.retry("not made")
        return recorded(payment.payment_id, found)

    def failed(effect: Effect, code: str, detail: str = "") -> EffectResult:
        async def record(uow: UnitOfWork) -> None:
            await record_failed(uow, till, _id(effect), code)

        return EffectResult.failed(f"{code} {detail}".strip(), record)

    async def gave_up(effect: Effect, uow: UnitOfWork) -> None:
        await record_failed(uow, till, _id(effect), errors.PROVIDER_FAILED, lost=True)

    return EffectKind(
        name=EFFECT, call=call, reconcile=reconcile, gave_up=gave_up, attempts_max=ATTEMPTS_MAX
    )


async def record_created(
    uow: UnitOfWork, till: Till, payment_id: PaymentId, created: Created
) -> None:
    payment = await _locked(uow, till, payment_id)
    if payment is None or payment.provider_ref is not None:
        return
    offered = payments.offer_to_pay(
        payment,
        created.provider_ref,
        created.pay_url,
        created.expires_at or payment.expires_at,
    )
    payment.check_due_at = payments.next_check(payment, uow.now)
    await till.payments.save(uow.connection, payment)
    if offered:
        tell.created(uow, payment)


async def record_failed(
    uow: UnitOfWork, till: Till, payment_id: PaymentId, code: str, *, lost: bool = False
) -> None:
    """`lost`: an invoice may have been made all the same; it is looked for later on."""
    payment = await _locked(uow, till, payment_id)
    if payment is not None and payments.end_unpaid(payment, FAILED, code):
        payment.check_due_at = payments.next_check(payment, uow.now) if lost else None
        await till.payments.save(uow.connection, payment)
        tell.failed(uow, payment, code)


async def _locked(uow: UnitOfWork, till: Till, payment_id: PaymentId) -> Payment | None:
    owners = await till.payments.owners(uow.connection, [payment_id])
    await till.books.accounts.lock(uow.connection, list(owners.values()))
    return await till.payments.find(uow.connection, payment_id)


def _id(effect: Effect) -> PaymentId:
    return PaymentId(UUID(bytes=effect.body))
