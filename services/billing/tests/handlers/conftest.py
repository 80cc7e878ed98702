"""A cashier: runs the handlers of outside money the way the consumers do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest

from billing import jobs
from billing.adapters import shop_file
from billing.adapters.postgres_payments import (
    PostgresCharges,
    PostgresPaymentReads,
    PostgresPayments,
    PostgresRecords,
)
from billing.adapters.postgres_reads import PostgresReads
from billing.domain.invoice_payload import Seal
from billing.handlers import (
    adjust_credits,
    buy_plan,
    cancel_payment,
    change_subscription,
    check_pre_checkout,
    create_payment,
    record_stars_paid,
    record_stars_refund,
    record_stars_statement,
    record_subscription_edited,
    refund_charge,
    resolve_review,
    tell,
    watch_payments,
)
from billing.handlers.apart import apart
from billing.ports.payments import Capabilities, Till
from billing.webhooks import PaymentWebhooks
from chassis.clock import new_id
from chassis.effects import EffectWorker
from contracts import billing, gateway, generator, operators, payments, rewards
from contracts.envelope import contracts_of
from contracts.gateway import StarsPaid, StarsRefundRecorded
from contracts.payments import STARS

CATALOGUE = Path(__file__).parents[4] / "catalogue"
CONTRACTS = contracts_of(billing, gateway, generator, operators, payments, rewards)
USER = 7
SECRET = "nobody-guesses-this-segment"


class Cashier:
    def __init__(self, desk):
        self.desk = desk
        self.till = Till(
            desk.books,
            PostgresPayments(),
            PostgresCharges(),
            PostgresRecords(),
            shop_file.load(CATALOGUE).offers,
            {STARS: Capabilities(in_chat=True)},
            seal=Seal("a secret of the tests"),
        )
        self.seen = PostgresPaymentReads(desk.database)
        self.reads = PostgresReads(desk.database)

    @property
    def now(self):
        return self.desk.now

    async def run(self, handle, *messages, rejected=None, **parts):
        """One batch, each message apart; returns what was emitted."""
        extra = {} if rejected is None else {"rejected": rejected}
        return await self.batch(apart(handle, **extra, **parts), *messages)

    async def batch(self, handler, *messages, said=None, **parts):
        """One batch of a batch handler, as the consumer hands it over."""
        async with self.desk.begin() as uow:
            keys = sorted({key for each in messages for key in each.lock_keys()})
            await self.desk.books.accounts.lock(uow.connection, keys)
            await handler(self.desk.received(messages, said), uow, **parts)
        return [CONTRACTS[row.subject].decode(row.body) for row in uow.rows]

    async def create(self, product_id="credits_300", amount=275, currency="XTR", **fields):
        values = {"payment_id": new_id(), "user_id": USER, "provider": STARS, **fields}
        command = payments.CreatePayment(
            product_id=product_id, amount_minor=amount, currency=currency, **values
        )
        return await self.run(
            create_payment.create_payment, command, rejected=tell.not_created, till=self.till
        )

    async def invoice(self, *product, **fields):
        (created,) = await self.create(*product, **fields)
        assert isinstance(created, payments.PaymentCreated), created
        return created

    def paid(self, created, charge_id="charge-1", **fields):
        values = {
            "user_id": created.user_id,
            "charge_id": charge_id,
            "invoice_payload": created.invoice_payload,
            "amount_minor": created.amount_minor,
            "currency": created.currency,
            "paid_at": self.now,
            **fields,
        }
        return StarsPaid(**values)

    async def pay(self, created, charge_id="charge-1", **fields):
        return await self.pay_all(self.paid(created, charge_id, **fields))

    async def pay_all(self, *events):
        return await self.batch(record_stars_paid.record_stars_paid, *events, till=self.till)

    async def bought(self, *product, charge_id="charge-1", **fields):
        created = await self.invoice(*product)
        events = await self.pay(created, charge_id, **fields)
        return next(each for each in events if isinstance(each, payments.PaymentCredited))

    async def refund(self, charge_id="charge-1", provider=STARS, user_id=USER, **fields):
        values = {"reason": "asked", "actor": "op", **fields}
        command = payments.RefundCharge(
            provider=provider, charge_id=charge_id, user_id=user_id, **values
        )
        rejected = _with(refund_charge.not_refunded, self.till)
        return await self.run(
            refund_charge.refund_charge, command, rejected=rejected, till=self.till
        )

    async def refunded(self, charge_id="charge-1", code=""):
        event = StarsRefundRecorded(user_id=USER, charge_id=charge_id, code=code)
        return await self.run(record_stars_refund.record_stars_refund, event, till=self.till)

    async def adjust(self, amount, adjustment_id=None, **fields):
        values = {"user_id": USER, "reason": "why", "actor": "op", **fields}
        command = operators.AdjustCredits(
            adjustment_id=adjustment_id or new_id(), credits=amount, **values
        )
        rejected = _with(adjust_credits.not_adjusted, self.till)
        return await self.run(
            adjust_credits.adjust_credits, command, rejected=rejected, till=self.till
        )

    async def resolve(self, charge_id, amount, user_id=USER, provider=STARS, **fields):
        values = {"reason": "looked", "actor": "op", **fields}
        command = operators.ResolveReview(
            provider=provider, charge_id=charge_id, user_id=user_id, credits=amount, **values
        )
        rejected = _with(resolve_review.not_resolved, self.till)
        return await self.run(
            resolve_review.resolve_review, command, rejected=rejected, till=self.till
        )

    async def buy(self, plan_id="vip_30", price=300, order_id=None, **fields):
        values = {"user_id": USER, "priced_at": self.now, **fields}
        command = payments.BuyPlan(
            order_id=order_id or new_id(), plan_id=plan_id, price_credits=price, **values
        )
        return await self.run(
            buy_plan.buy_plan, command, rejected=buy_plan.plan_refused, till=self.till
        )

    async def cancel(self, payment_id, user_id=USER):
        command = payments.CancelPayment(payment_id=payment_id, user_id=user_id)
        return await self.run(cancel_payment.cancel_payment, command, till=self.till)

    async def watch(self):
        tick = payments.WatchPayments(due_at=self.now)
        return await self.run(watch_payments.watch_payments, tick, till=self.till)

    async def statement(self, *lines):
        event = gateway.StarsStatementRead(transactions=lines, read_at=self.now)
        return await self.run(record_stars_statement.record_stars_statement, event, till=self.till)

    async def change(self, charge_id, *, cancelled, user_id=USER):
        command = payments.ChangeSubscription(
            user_id=user_id, charge_id=charge_id, cancelled=cancelled
        )
        return await self.run(change_subscription.change_subscription, command, till=self.till)

    async def edited(self, charge_id, *, cancelled, code=""):
        event = gateway.StarsSubscriptionEdited(
            user_id=USER, charge_id=charge_id, cancelled=cancelled, code=code
        )
        return await self.run(
            record_subscription_edited.record_subscription_edited, event, till=self.till
        )

    async def pre_checkout(self, created, **fields):
        values = {
            "user_id": created.user_id,
            "invoice_payload": created.invoice_payload,
            "currency": created.currency,
            "total_amount": created.amount_minor,
            **fields,
        }
        answer = await check_pre_checkout.check_pre_checkout(
            payments.CheckPreCheckout(**values),
            till=self.till,
            seen=self.seen,
            reads=self.reads,
            clock=self.desk.clock,
        )
        assert answer.ok == (not answer.code)
        return answer.code

    async def payment(self, payment_id: UUID):
        return await self.seen.payment(payment_id)

    async def charge(self, charge_id="charge-1", provider=STARS):
        async with self.desk.begin() as uow:
            return await self.till.charges.find(uow.connection, provider, charge_id)

    async def rows(self, query, *arguments):
        async with self.desk.database.read() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def account(self):
        return await self.desk.account(USER)

    async def later(self, **span):
        self.desk.clock.advance(timedelta(**span))
        await self.desk.outbox.partitions.maintain()


class Teller:
    """The cashier with a provider switched on, its effects and its webhook endpoint."""

    def __init__(self, cashier, provider, control, *, price, find_made):
        self.cashier = cashier
        self.control = control
        self.provider = provider
        self.price = price
        self.find_made = find_made
        on = {**cashier.till.on, provider.name: provider.capabilities}
        cashier.till = replace(cashier.till, on=on)
        self.outbox = cashier.desk.outbox
        providers = {provider.name: provider}
        self.worker = EffectWorker(
            self.outbox, jobs.payment_effects(self.outbox, cashier.till, providers)
        )
        self.webhooks = PaymentWebhooks(
            providers, cashier.till, self.outbox, secret=SECRET, host="127.0.0.1", port=0
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.webhooks.port}/pay/{self.provider.name}/{SECRET}"

    async def ask(self, **fields):
        payment_id = new_id()
        events = await self.cashier.create(
            "credits_300",
            *self.price,
            provider=self.provider.name,
            payment_id=payment_id,
            **fields,
        )
        assert events == []
        return payment_id

    async def work(self, rounds=1):
        """Carry out what is due; each round moves the clock past the effects' backoff."""
        before = await self.ids()
        for number in range(rounds):
            if number:
                await self.cashier.later(seconds=10)
            while await self.worker.work_once():
                pass
        return await self.events_since(before)

    async def ids(self):
        return {row[0] for row in await self.cashier.rows("SELECT id FROM outbox")}

    async def events_since(self, before):
        known = contracts_of(payments)
        rows = await self.cashier.rows("SELECT id, subject, body FROM outbox ORDER BY id")
        return [
            known[subject].decode(body)
            for key, subject, body in rows
            if key not in before and subject in known
        ]

    async def invoice(self, **fields):
        payment_id = await self.ask(**fields)
        (created,) = await self.work()
        made = await self.find_made(str(payment_id))
        return created, made

    async def watch(self, rounds=1):
        await self.cashier.later(seconds=60)
        await self.cashier.watch()
        return await self.work(rounds)

    async def reconciled(self):
        """Have the daily round behind us, so that a watch asks about open invoices."""
        await self.watch()

    async def post(self, body, *, headers=None, url=None, method="POST"):
        given = {"content-type": "application/json", **(headers or {})}
        async with aiohttp.ClientSession() as session:
            async with session.request(
                method, url or self.url, data=body, headers=given
            ) as response:
                return response.status


def _with(rejected, till):
    async def answer(uow, each, error):
        await rejected(uow, each, error, till=till)

    return answer


@pytest.fixture
async def cashier(postgres_desk, request):
    morning = postgres_desk.now
    if "teller_of" in request.fixturenames:
        # Simulators live today, and so must the account from its first moment: its trial ends.
        postgres_desk.clock.moment = datetime.now(UTC)
        await postgres_desk.outbox.partitions.maintain()
    await postgres_desk.open(USER)
    yield Cashier(postgres_desk)
    postgres_desk.clock.moment = morning
    await postgres_desk.outbox.partitions.maintain()


@pytest.fixture
async def teller_of(cashier):
    """Makes tellers, their endpoints open and known to the simulator behind `control`."""
    opened = []

    async def teller_of(provider, control, **how):
        teller = Teller(cashier, provider, control, **how)
        opened.append(teller)
        await teller.webhooks.start()
        await control.webhook(url=teller.url, enabled=True)
        return teller

    yield teller_of
    for teller in opened:
        await teller.webhooks.stop()
        await teller.provider.close()
