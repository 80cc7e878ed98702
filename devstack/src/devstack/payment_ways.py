"""Ways of a payment through billing: what starts each, and what must hold once all is quiet.

Each is run by devstack.kill_points, which kills billing at every statement between the two.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar

from chassis.clock import new_id
from contracts.billing import OpenAccount, TierSet
from contracts.gateway import StarsPaid
from contracts.ids import PaymentId, UserId
from contracts.payments import (
    CRYPTO_PAY,
    STARS,
    YOOKASSA,
    CreatePayment,
    PaymentCreated,
    PaymentCredited,
    SubscriptionChanged,
    WatchPayments,
)
from devstack.kill_points import Victim
from simulators.crypto_pay.testing import ControlClient as CryptoPayControl
from simulators.yookassa.testing import ControlClient as YooKassaControl

TOKEN = "777:AA-token-of-a-test"  # noqa: S105
OK = 200
TRIAL, PACK = 20, 330


@dataclass(frozen=True)
class Outside:
    """Who gives and takes the money, and who audits what billing made of it."""

    crypto_pay: CryptoPayControl
    yookassa: YooKassaControl
    audit: Callable[[], Awaitable[list[str]]]
    """What is wrong with the ledger, in words."""


@dataclass
class Case:
    """One person with one payment; what is known of it grows."""

    user_id: UserId
    payment_id: PaymentId
    payload: str = ""
    charge_id: str = ""
    webhook_id: int = 0


class Payment:
    """One way through the payment code: from its trigger until all is quiet."""

    provider: ClassVar[str]
    product: ClassVar[str] = "credits_300"
    price: ClassVar[tuple[int, str]]
    switched_on: ClassVar[str] = CRYPTO_PAY
    """The one provider besides Stars that billing has: a tick asks them all."""
    calls_out: ClassVar[bool] = False
    """Whether it makes effects, whose claims then belong to it."""
    users = count(1_000)

    def __init__(self, victim: Victim, outside: Outside) -> None:
        self.victim, self.outside = victim, outside
        self.control = outside.crypto_pay

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
        cases = [Case(UserId(next(Payment.users)), PaymentId(new_id())) for _ in range(number)]
        await self.victim.publish(OpenAccount(user_id=case.user_id) for case in cases)
        await self.victim.settled()
        return cases

    async def over(self, cases: list[Case], begin: Callable[[Case], Awaitable[None]]) -> list[Case]:
        """The same cases, when this was begun for each and all is quiet again."""
        for case in cases:
            await begin(case)
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
        assert await self.outside.audit() == []

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
        if webhook["attempts"][-1]["status"] != OK:
            assert (await self.control.resend(case.webhook_id))["status"] == OK

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


class PolledPaid(WebhookPaid):
    """Crypto Pay's webhook never comes: billing asks by itself, on a tick."""

    calls_out = True

    async def prepare(self, number: int) -> list[Case]:
        await self.tick()  # the daily round by the statement is behind us
        await self.victim.settled()
        return await super().prepare(number)

    async def tick(self) -> None:
        await self.victim.publish([WatchPayments(due_at=datetime.now(UTC))])

    async def begin(self, case: Case) -> None:
        await self.victim.rows(
            "UPDATE payments SET check_due_at = CASE payment_id WHEN $1 THEN now()"
            " ELSE now() + interval '1 day' END WHERE check_due_at IS NOT NULL",
            case.payment_id,
        )
        await self.tick()

    async def go_on(self, case: Case) -> None:
        """Nothing: the tick was stored."""

    async def check(self, case: Case) -> None:
        await self.credited(case, TRIAL + PACK)


class YooKassaPaid(Payment):
    """YooKassa's webhook, which nobody signs, has billing ask for the payment itself."""

    provider = switched_on = YOOKASSA
    price = (54_900, "RUB")

    async def prepare(self, number: int) -> list[Case]:
        cases = await super().prepare(number)
        for case in cases:
            made = await self.outside.yookassa.wait_payment(str(case.payment_id))
            case.charge_id = made["id"]
            await self.outside.yookassa.pay(case.charge_id)
            (webhook,) = await self.outside.yookassa.webhooks(case.charge_id)
            case.webhook_id = webhook["id"]
        return cases

    async def begin(self, case: Case) -> None:
        await self.outside.yookassa.resend(case.webhook_id)

    async def go_on(self, case: Case) -> None:
        (webhook,) = await self.outside.yookassa.webhooks(case.charge_id)
        if webhook["attempts"][-1]["status"] != OK:
            again = await self.outside.yookassa.resend(case.webhook_id)
            assert again["status"] == OK


class PlanRenewed(PlanPaid):
    """The second charge of a Stars subscription."""

    async def prepare(self, number: int) -> list[Case]:
        return await self.over(await super().prepare(number), super().begin)

    async def begin(self, case: Case) -> None:
        renewal = StarsPaid(
            user_id=case.user_id,
            charge_id=f"{case.charge_id}-again",
            invoice_payload=case.payload,
            amount_minor=self.price[0],
            currency=self.price[1],
            paid_at=datetime.now(UTC),
            recurring=True,
            subscription_until=datetime.now(UTC) + timedelta(days=60),
        )
        await self.victim.publish([renewal])

    async def check(self, case: Case) -> None:
        victim = self.victim
        charges = await victim.rows(
            "SELECT charge_id, state FROM charges WHERE user_id = $1 ORDER BY charge_id",
            case.user_id,
        )
        first, second = case.charge_id, f"{case.charge_id}-again"
        assert charges == [(first, "paid"), (second, "paid")]
        assert len(victim.events(PaymentCredited, charge_id=second)) == 1
        assert len(victim.events(SubscriptionChanged, user_id=case.user_id)) == 2  # noqa: PLR2004
        (plan,) = await victim.rows(
            "SELECT tier, tier_until > now() + interval '59 days' FROM accounts WHERE user_id = $1",
            case.user_id,
        )
        assert plan == ("vip", True)
        assert await self.state(case) == ("paid", TRIAL)
