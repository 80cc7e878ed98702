"""Billing is killed -9 at every statement of the payment path: paid is delivered every time.

Enumerated, not sampled. Between billing and Postgres stands devstack.postgres_proxy. For each of
WAYS clean runs (two must agree) list every statement billing sends from the trigger until all
is quiet: BEGIN, SAVEPOINT, each query, each COPY and the end of its data, COMMIT, the outbox's
mark, an effect's claim and settling. Then, for a new person each time, billing gets SIGKILL right
before the n-th of them reaches Postgres, for every n; and right after Postgres answered it, before
billing reads that: in `make kill-points` for every n; in `make test` after each COMMIT and after
what runs outside a transaction, for between two statements of one transaction nothing leaves
billing and both moments leave the same behind. There the two ways that credit are run, the others
by `make kill-points`.

Not counted: the sweeper's and the readiness check's looks, and what asyncpg asks about types. The
sweeps of billing itself run once at each start, before the trigger. Time is not waited for: the
lease of a dead process's effect is made to run out, and the consumers' ack_wait is 0.4 s.

After each kill billing is started again, the outside repeats what it was not answered, and when
all is quiet the case is judged; at the end every case once more. Each billing is a process of its
own, forked by devstack.warm_starts where the imports are done.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
import pytest_asyncio

from billing.adapters.audit import PostgresAuditor
from billing.main import MIGRATIONS, SCHEMA
from chassis.clock import new_id
from contracts import billing, payments
from contracts.billing import OpenAccount, TierSet
from contracts.envelope import contracts_of
from contracts.gateway import StarsPaid
from contracts.payments import (
    CRYPTO_PAY,
    STARS,
    ChargeRefunded,
    CreatePayment,
    PaymentCreated,
    PaymentCredited,
    RefundCharge,
    SubscriptionChanged,
)
from devstack.kill_points import Victim, behind_a_wire, strike_all
from devstack.testing import DatabaseServer, free_port
from devstack.warm_starts import warm_starts
from simulators.crypto_pay.testing import ControlClient, CryptoPaySimulator

pytestmark = [
    pytest.mark.xdist_group("heavy"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

CATALOGUE = Path(__file__).parents[2] / "catalogue"
TOKEN = "777:AA-token-of-a-test"
SEGMENT = "nobody-guesses-this-segment"
ACK_WAIT = timedelta(seconds=0.4)
NEVER = "86400"
SWEEPS = ("QUEUE_SAMPLE", "EXPIRE_HOLDS", "EXPIRE_LOTS", "ASK_DELIVERIES", "SEAL", "REWARDS")
TRIAL, PACK = 20, 330


@dataclass
class Case:
    """One person with one payment; what is known of it grows."""

    user_id: int
    payment_id: UUID
    payload: str = ""
    charge_id: str = ""
    webhook_id: int = 0


class Payment:
    """One way through the payment code: from its trigger until all is quiet."""

    provider: ClassVar[str]
    product: ClassVar[str] = "credits_300"
    price: ClassVar[tuple[int, str]]
    calls_out: ClassVar[bool] = False
    """Whether it makes effects, whose claims then belong to it."""
    users = count(1_000)

    def __init__(self, victim: Victim, control: ControlClient) -> None:
        self.victim, self.control = victim, control

    async def prepare(self, number: int) -> list[Case]:
        """People with an invoice each, made with nobody killed."""
        cases = await self.open(number)
        await self.victim.publish(self.asked(case) for case in cases)
        await self.victim.settled()
        for case in cases:
            (created,) = self.created(case)
            case.payload = created.invoice_payload
        return cases

    async def open(self, number: int) -> list[Case]:
        cases = [Case(next(Payment.users), new_id()) for _ in range(number)]
        await self.victim.publish(OpenAccount(user_id=case.user_id) for case in cases)
        await self.victim.settled()
        return cases

    def asked(self, case: Case) -> CreatePayment:
        return CreatePayment(
            payment_id=case.payment_id,
            user_id=case.user_id,
            provider=self.provider,
            product_id=self.product,
            amount_minor=self.price[0],
            currency=self.price[1],
        )

    def created(self, case: Case) -> list[PaymentCreated]:
        return self.victim.events(PaymentCreated, payment_id=case.payment_id)

    async def begin(self, case: Case) -> None:
        raise NotImplementedError

    async def go_on(self, case: Case) -> None:
        """What the outside does again because it was not answered."""

    async def end(self, cases: list[Case]) -> None:
        """What is left to be done with every case before the last judgement."""

    async def check(self, case: Case) -> None:
        await self.credited(case, TRIAL + PACK)

    async def judge(self, cases: list[Case]) -> None:
        for case in cases:
            await self.check(case)
        assert await self.victim.rows("SELECT subject FROM parked") == []
        report = await PostgresAuditor(self.victim.database).audit()
        assert report.healthy, report.lines()

    async def credited(self, case: Case, available: int) -> None:
        """The payment's one charge was credited once, and told once."""
        victim = self.victim
        charges = await victim.rows(
            "SELECT charge_id, state FROM charges WHERE payment_id = $1", case.payment_id
        )
        assert charges == [(case.charge_id, "paid")]
        told = victim.events(PaymentCredited, charge_id=case.charge_id)
        assert [each.payment_id for each in told] == [case.payment_id]
        assert await self.state(case) == ("paid", available)
        granted = await victim.rows(
            "SELECT coalesce(sum(credits), 0)::int FROM grants WHERE user_id = $1"
            " AND reason IN ('payment', 'payment_bonus')",
            case.user_id,
        )
        assert granted == [(available - TRIAL,)]

    async def state(self, case: Case) -> tuple[str, int]:
        (row,) = await self.victim.rows(
            "SELECT state, available FROM payments JOIN accounts USING (user_id)"
            " WHERE payment_id = $1",
            case.payment_id,
        )
        return str(row[0]), int(row[1])


class WebhookPaid(Payment):
    """Crypto Pay says by its webhook that an invoice was paid, until it is answered 200."""

    provider, price = CRYPTO_PAY, (549, "USD")

    async def prepare(self, number: int) -> list[Case]:
        cases = await super().prepare(number)
        for case in cases:
            await self.pay(case)
        return cases

    async def pay(self, case: Case) -> None:
        (invoice,) = await self.control.invoices(payload=str(case.payment_id))
        await self.control.pay(invoice["invoice_id"], asset="USDT")
        (webhook,) = await self.control.webhooks(invoice["invoice_id"])
        case.charge_id, case.webhook_id = str(invoice["invoice_id"]), webhook["id"]

    async def begin(self, case: Case) -> None:
        await self.control.resend(case.webhook_id)

    async def go_on(self, case: Case) -> None:
        (webhook,) = await self.control.webhooks(int(case.charge_id))
        if webhook["attempts"][-1]["status"] != 200:
            assert (await self.control.resend(case.webhook_id))["status"] == 200

    async def check(self, case: Case) -> None:
        await super().check(case)
        (webhook,) = await self.control.webhooks(int(case.charge_id))
        assert webhook["state"] == "delivered"


class StarsArePaid(Payment):
    """Telegram says in a chat that a Stars invoice was paid."""

    provider, price = STARS, (275, "XTR")

    def event(self, case: Case, **fields: Any) -> StarsPaid:
        return StarsPaid(
            user_id=case.user_id,
            charge_id=case.charge_id,
            invoice_payload=case.payload,
            amount_minor=self.price[0],
            currency=self.price[1],
            paid_at=datetime.now(UTC),
            **fields,
        )

    async def begin(self, case: Case) -> None:
        case.charge_id = f"stars-{case.user_id}"
        await self.victim.publish([self.event(case)])


class PlanPaid(StarsArePaid):
    """The first charge of a Stars subscription."""

    product, price = "vip_30", (250, "XTR")

    def event(self, case: Case, **fields: Any) -> StarsPaid:
        until = datetime.now(UTC) + timedelta(days=30)
        first = {"recurring": True, "first_recurring": True, "subscription_until": until}
        return super().event(case, **first, **fields)

    async def check(self, case: Case) -> None:
        await self.credited(case, TRIAL)
        victim = self.victim
        tier = await victim.rows(
            "SELECT tier, tier_version FROM accounts WHERE user_id = $1", case.user_id
        )
        running = await victim.rows(
            "SELECT charge_id, state FROM subscriptions WHERE user_id = $1", case.user_id
        )
        assert (tier, running) == ([("vip", 1)], [(case.charge_id, "active")])
        assert len(victim.events(TierSet, user_id=case.user_id)) == 1
        assert len(victim.events(SubscriptionChanged, user_id=case.user_id)) == 1


class InvoiceMade(WebhookPaid):
    """Somebody asks for a Crypto Pay invoice; Crypto Pay has no key against making it twice."""

    calls_out = True

    async def prepare(self, number: int) -> list[Case]:
        return await self.open(number)

    async def begin(self, case: Case) -> None:
        await self.victim.publish([self.asked(case)])

    async def go_on(self, case: Case) -> None:
        """Nothing: the command was stored."""

    async def check(self, case: Case) -> None:
        (made,) = await self.control.invoices(payload=str(case.payment_id))
        (told,) = self.victim.events(PaymentCreated, payment_id=case.payment_id)
        assert told.pay_url == made["bot_invoice_url"]
        if case.webhook_id:
            await super().check(case)
        else:
            assert await self.state(case) == ("pending", TRIAL)

    async def end(self, cases: list[Case]) -> None:
        for case in cases:
            await self.pay(case)
            await self.control.resend(case.webhook_id)


class Refunded(WebhookPaid):
    """An operator refunds a Crypto Pay charge: by a transfer, made once."""

    calls_out = True

    async def prepare(self, number: int) -> list[Case]:
        cases = await super().prepare(number)
        for case in cases:
            await super().begin(case)
        await self.victim.settled()
        return cases

    async def begin(self, case: Case) -> None:
        command = RefundCharge(
            provider=CRYPTO_PAY,
            charge_id=case.charge_id,
            user_id=case.user_id,
            reason="test",
            actor="test",
        )
        await self.victim.publish([command])

    async def go_on(self, case: Case) -> None:
        """Nothing: the command was stored."""

    async def check(self, case: Case) -> None:
        victim = self.victim
        charges = await victim.rows(
            "SELECT state FROM charges WHERE payment_id = $1", case.payment_id
        )
        assert charges == [("refunded",)]
        assert await self.state(case) == ("paid", TRIAL)
        _, answer = await self.control.api(TOKEN, "getTransfers", count=1_000)
        (sent,) = [each for each in answer["result"]["items"] if each["user_id"] == case.user_id]
        assert Decimal(sent["amount"]) == Decimal("5.49")
        (told,) = victim.events(ChargeRefunded, charge_id=case.charge_id)
        assert (told.taken_credits, told.debt_credits) == (PACK, 0)
        taken = await victim.rows(
            "SELECT sum(amount)::int FROM transfers WHERE user_id = $1 AND kind = 'revoke'",
            case.user_id,
        )
        assert taken == [(PACK,)]


WAYS = (WebhookPaid, StarsArePaid, PlanPaid, InvoiceMade, Refunded)
CREDITING = (WebhookPaid, StarsArePaid)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(postgres_server: DatabaseServer) -> AsyncIterator[tuple[Victim, ControlClient]]:
    """Billing behind the wire, a nats-server, Crypto Pay: one of each for all points."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        known = contracts_of(billing, payments)
        wired = await enter(
            behind_a_wire(
                SCHEMA,
                postgres_server,
                migrations_folder=MIGRATIONS,
                known=known,
                ack_wait=ACK_WAIT,
            )
        )
        victim = wired.victim
        simulator = CryptoPaySimulator(token=TOKEN, balance={"USDT": Decimal(100_000)})
        control = await enter(ControlClient((await enter(simulator)).url))
        environment = settings(wired.dsn, wired.nats_url, simulator.url)
        # Its webhooks are posted when a test says so, and again where they were not answered.
        hook = f"http://127.0.0.1:{environment['BILLING_WEBHOOK_PORT']}/pay/crypto_pay/{SEGMENT}"
        await control.webhook(url=hook, enabled=False)
        await victim.start(await enter(warm_starts("billing", "billing.cli")), environment)
        yield victim, control


def settings(dsn: str, nats_url: str, crypto_pay_url: str) -> dict[str, str]:
    ours = {
        "DATABASE_URL": dsn,
        "NATS_URL": nats_url,
        "CATALOGUE_DIR": CATALOGUE,
        "HEALTH_PORT": free_port(),
        "LOG_LEVEL": "error",
        "LOG_FORMAT": "json",
        "PAYLOAD_SECRET": "a secret of the tests",
        "CRYPTO_PAY_TOKEN": TOKEN,
        "CRYPTO_PAY_API_URL": crypto_pay_url,
        "WEBHOOK_PORT": free_port(),
        "WEBHOOK_SECRET": SEGMENT,
        **{f"{sweep}_EVERY": NEVER for sweep in SWEEPS},
    }
    return {**os.environ, **{f"BILLING_{name}": str(value) for name, value in ours.items()}}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    everything = metafunc.config.getoption("--kill-points") == "all"
    metafunc.parametrize("everything", [everything])
    metafunc.parametrize("kind", WAYS if everything else CREDITING)


async def test_billing_may_be_killed_at_any_statement(
    shop: tuple[Victim, ControlClient], kind: type[Payment], everything: bool
) -> None:
    way = kind(*shop)
    points, cases = await strike_all(way, everything=everything)
    await way.end(cases)
    await way.victim.settled()

    await way.judge(cases)
    assert len(points) > 20
