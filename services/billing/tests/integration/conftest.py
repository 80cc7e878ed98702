"""The world around billing in a storm of money: people, generators, Telegram, operators."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from chassis.clock import SystemClock, new_id
from contracts import billing, errors, gateway, generator, operators, payments, rewards
from contracts.envelope import Headers, Message
from contracts.ids import MessageId
from contracts.media import MediaRef
from contracts.payments import STARS

PEOPLE = 50
SCENE, ENHANCE = "image.product_scene", "image.enhance"
PRICES = {SCENE: 10, ENHANCE: 0}
PACKS = {"credits_100": 100, "credits_300": 275}
PLANS = {"vip_30": (300, 250), "black_gold_30": (900, 750)}
SOON = timedelta(seconds=4)
PROMOS = {
    "FEW7": ("credits", 15, 7),
    "MANY": ("credits", 25, 0),
    "CHEAP": ("discount", 20, 30),
    "DAYS": ("tier", 3, 0),
    "ONE": ("credits", 500, 1),
}
"""Code: kind, value, how many may use it (0: everybody)."""
now = SystemClock().now
RESULT = MediaRef(
    name="result", object_key="results/1.png", sha256="0" * 64, mime="image/png", size_bytes=10
)


@dataclass(frozen=True)
class Sent:
    message: Message
    id: MessageId

    @property
    def headers(self) -> dict[str, str]:
        return Headers(id=self.id, sent_at=now()).to_wire()


class World:
    """Makes what is sent to billing: wishes of people, and answers to what billing tells."""

    people = PEOPLE
    promos = PROMOS

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.sent: dict[UUID, Message] = {}
        self.kinds: Counter[str] = Counter()
        self._payloads: dict[UUID, payments.PaymentCreated] = {}
        self._charges = 0
        self._wishes = {
            self._place: 34,
            self._place_free: 4,
            self._pay: 14,
            self._subscribe: 3,
            self._grant: 10,
            self._make_gift: 7,
            self._adjust: 6,
            self._redeem: 8,
            self._draw: 4,
            self._buy_plan: 3,
            self._set_tier: 2,
        }

    def wishes(self, count: int) -> list[Message]:
        makers = self.random.choices(list(self._wishes), list(self._wishes.values()), k=count)
        return [make() for make in makers]

    def packed(self, messages: Sequence[Message]) -> list[Sent]:
        """Each under an id of its own, counted as one operation."""
        made = [Sent(each, MessageId(new_id())) for each in messages]
        self.sent |= {each.id: each.message for each in made}
        self.kinds.update(type(each.message).__name__ for each in made)
        return made

    def said_again(self, messages: Sequence[Sent]) -> list[Sent]:
        """The same wishes and facts under other ids: a double tap, another way of telling."""
        return [Sent(each.message, MessageId(new_id())) for each in self._some(messages, 0.1)]

    def sent_again(self, messages: Sequence[Sent]) -> list[Sent]:
        """The same messages under their own ids, as a sender that crashed would."""
        return self._some(messages, 0.2)

    def _some(self, messages: Sequence[Sent], share: float) -> list[Sent]:
        return self.random.sample(messages, int(len(messages) * share))

    # --- what people and operators wish ---------------------------------------------------------

    def _person(self) -> int:
        return self.random.randint(1, PEOPLE)

    def _place(self, price: int = PRICES[SCENE], user_id: int = 0, name: str = SCENE) -> Message:
        return billing.PlaceOrder(
            order_id=new_id(),
            user_id=user_id or self._person(),
            workflow_id=name,
            catalogue_version=1,
            price_credits=price,
            priced_at=now(),
        )

    def _place_free(self) -> Message:
        return self._place(0, name=ENHANCE)

    def _pay(self) -> Message:
        product, amount = self.random.choice(list(PACKS.items()))
        return self._invoice(product, amount)

    def _subscribe(self) -> Message:
        product, (_, stars) = self.random.choice(list(PLANS.items()))
        return self._invoice(product, stars)

    def _invoice(self, product: str, amount: int) -> Message:
        return payments.CreatePayment(
            payment_id=new_id(),
            user_id=self._person(),
            provider=STARS,
            product_id=product,
            amount_minor=amount,
            currency="XTR",
        )

    def _grant(self) -> Message:
        soon = self.random.random() < 0.5
        return billing.GrantCredits(
            grant_key=f"storm:{new_id()}",
            user_id=self._person(),
            credits=self.random.randint(1, 60),
            reason="storm",
            actor="test",
            lot=self.random.choice((billing.LOT_BONUS, billing.LOT_PAID)),
            expires_at=now() + SOON if soon else None,
        )

    def _make_gift(self) -> Message:
        amount = self.random.randint(1, 40)
        return rewards.MakeGift(gift_id=new_id(), user_id=self._person(), credits=amount)

    def _adjust(self) -> Message:
        return operators.AdjustCredits(
            adjustment_id=new_id(),
            user_id=self._person(),
            credits=self.random.choice((-90, -35, -5, 5, 30, 80)),
            reason="storm",
            actor="ann",
        )

    def _redeem(self) -> Message:
        code = self.random.choice((*PROMOS, "NOBODY_MADE_IT"))
        return rewards.RedeemPromo(user_id=self._person(), code=code)

    def _draw(self) -> Message:
        return rewards.TakeDraw(user_id=self._person())

    def _buy_plan(self) -> Message:
        plan, (price, _) = self.random.choice(list(PLANS.items()))
        return payments.BuyPlan(
            order_id=new_id(),
            user_id=self._person(),
            plan_id=plan,
            price_credits=price,
            priced_at=now(),
        )

    def _set_tier(self) -> Message:
        tier = self.random.choice((billing.TIER_NONE, billing.TIER_VIP))
        until = now() + timedelta(days=1)
        return billing.SetTier(
            user_id=self._person(),
            tier=tier,
            reason="storm",
            actor="test",
            until=until if tier != billing.TIER_NONE else None,
        )

    # --- what the others answer -----------------------------------------------------------------

    def answers(self, told: Any, *, calm: bool) -> list[Message]:
        """What a message of billing leads to; `calm`: only what ends things."""
        luck = self.random.random()
        match told:
            case billing.OrderAccepted():
                return self._ends(told, luck)
            case billing.OrderRefused(code=errors.PRICE_CHANGED, price_credits=int(price)):
                return [] if calm else [self._place(price, told.user_id)]
            case billing.OrderRefunded(reason=errors.HOLD_EXPIRED):
                return [_succeeded(told)] if luck < 0.5 else []
            case billing.OrderCompleted(order_id=order_id, user_id=user_id):
                delivered = gateway.DeliveryRecorded(
                    order_id=order_id, user_id=user_id, message_id=1
                )
                return [delivered]
            case payments.PaymentCreated():
                self._payloads[told.payment_id] = told
                return self._payments_of(told, luck)
            case payments.PaymentCredited():
                return [] if calm else self._second_thoughts(told, luck)
            case payments.PaymentHeld():
                return self._decisions(told, luck)
            case gateway.RefundStars(user_id=user_id, charge_id=charge_id):
                code = "" if luck < 0.6 else "CHARGE_ALREADY_REFUNDED" if luck < 0.8 else "NO"
                return [_refunded(user_id, charge_id, code)]
            case rewards.GiftMade(code=code):
                people = [self._person(), self._person()] if luck < 0.8 else []
                return [rewards.OpenGift(user_id=each, code=code) for each in people]
            case billing.CommandRejected(code=errors.NEEDS_SECOND_PERSON):
                return self._approved(told)
        return []

    def _ends(self, told: billing.OrderAccepted, luck: float) -> list[Message]:
        ids = {"order_id": told.order_id, "user_id": told.user_id}
        started = generator.JobStarted(**ids, epoch=1, server="gpu", started_at=now())
        succeeded = _succeeded(told)
        failed = generator.JobFailed(**ids, failure_class="out_of_memory")
        cancelled = generator.JobCancelled(**ids, reason="cancelled_by_user")
        cancel = billing.CancelOrder(**ids)
        ways: tuple[tuple[float, list[Message]], ...] = (
            (0.50, [started, succeeded]),
            (0.65, [failed]),
            (0.75, [cancel, cancelled]),
            (0.83, [cancel, succeeded]),
            (0.88, [succeeded, failed]),
            (0.93, [cancel, cancelled, succeeded]),
            (1.00, []),
        )
        return next(answers for limit, answers in ways if luck < limit)

    def _payments_of(self, told: payments.PaymentCreated, luck: float) -> list[Message]:
        paid = self._paid(told)
        if told.subscription_days:
            return [paid] if luck < 0.8 else []
        stranger = told.user_id % PEOPLE + 1
        cancel = payments.CancelPayment(payment_id=told.payment_id, user_id=told.user_id)
        ways: tuple[tuple[float, list[Message]], ...] = (
            (0.50, [paid]),
            (0.65, [paid, _statement(paid, paid.amount_minor)]),
            (0.72, [self._paid(told, amount_minor=told.amount_minor - 1)]),
            (0.80, [cancel, paid]),
            (0.86, [paid, self._paid(told)]),
            (0.92, [paid, _refunded(told.user_id, paid.charge_id)]),
            (0.96, [self._paid(told, user_id=stranger)]),
            (1.00, [cancel]),
        )
        return next(answers for limit, answers in ways if luck < limit)

    def _paid(self, told: payments.PaymentCreated, **other: Any) -> gateway.StarsPaid:
        self._charges += 1
        recurring = bool(told.subscription_days)
        values = {
            "user_id": told.user_id,
            "charge_id": f"storm-{self._charges}",
            "invoice_payload": told.invoice_payload,
            "amount_minor": told.amount_minor,
            "currency": told.currency,
            "paid_at": now(),
            "recurring": recurring,
            "first_recurring": recurring,
            **other,
        }
        return gateway.StarsPaid(**values)

    def _second_thoughts(self, told: payments.PaymentCredited, luck: float) -> list[Message]:
        """Refunds by operators, charge-backs nobody asked for, renewals."""
        refund = _refund(told.user_id, told.charge_id)
        unasked = _refunded(told.user_id, told.charge_id)
        created = self._payloads[told.payment_id]
        paid = self._paid(created, charge_id=told.charge_id, first_recurring=False)
        ways: tuple[tuple[float, list[Message]], ...] = (
            (0.20, [refund]),
            (0.28, [unasked]),
            (0.34, [refund, unasked]),
            (0.40, [_statement(paid, -told.amount_minor)]),
            (0.80, [self._paid(created, first_recurring=False)] if told.tier else []),
            (1.00, []),
        )
        return next(answers for limit, answers in ways if luck < limit)

    def _decisions(self, told: payments.PaymentHeld, luck: float) -> list[Message]:
        if luck > 0.75:
            return [_refund(told.user_id, told.charge_id)]
        resolve = operators.ResolveReview(
            provider=STARS,
            charge_id=told.charge_id,
            user_id=told.user_id,
            credits=100 if luck < 0.5 else 0,
            reason="looked",
            actor="ann",
        )
        return [resolve, _refund(told.user_id, told.charge_id)] if luck < 0.2 else [resolve]

    def _approved(self, told: billing.CommandRejected) -> list[Message]:
        """What needs two people, by two; of a repeat under another id nothing is known."""
        asked = self.sent.get(told.command_id)
        if not isinstance(asked, operators.AdjustCredits) or asked.approved_by:
            return []
        approved = operators.AdjustCredits(
            adjustment_id=asked.adjustment_id,
            user_id=asked.user_id,
            credits=asked.credits,
            reason=asked.reason,
            actor=asked.actor,
            approved_by="bob",
        )
        return [approved]


def _succeeded(told: billing.OrderAccepted | billing.OrderRefunded) -> generator.JobSucceeded:
    return generator.JobSucceeded(
        order_id=told.order_id, user_id=told.user_id, epoch=1, outputs=(RESULT,)
    )


def _refund(user_id: int, charge_id: str) -> payments.RefundCharge:
    return payments.RefundCharge(
        provider=STARS, charge_id=charge_id, user_id=user_id, reason="asked", actor="ann"
    )


def _refunded(user_id: int, charge_id: str, code: str = "") -> gateway.StarsRefundRecorded:
    return gateway.StarsRefundRecorded(user_id=user_id, charge_id=charge_id, code=code)


def _statement(paid: gateway.StarsPaid, amount: int) -> gateway.StarsStatementRead:
    line = gateway.StarsTransaction(
        charge_id=paid.charge_id,
        amount_minor=amount,
        at=paid.paid_at,
        user_id=paid.user_id,
        invoice_payload=paid.invoice_payload,
    )
    return gateway.StarsStatementRead(transactions=(line,), read_at=paid.paid_at)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    return World(request.config.getoption("--storm-seed"))
