"""Messages about money from outside: payments, charges, refunds, plans and what is on offer."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from contracts.access import AccessPlan
from contracts.envelope import Command, Event, LockKey, Reply, Request
from contracts.ids import OrderId, PaymentId, UserId
from contracts.money import Credits

STARS = "stars"
CRYPTO_PAY = "crypto_pay"
YOOKASSA = "yookassa"
PRODUCT_PACK = "pack"
"""A one-off amount of credits."""
PRODUCT_PLAN = "plan"
"""A tier for a number of days."""


class Pack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Credits for money. `prices`: minor units (Stars have none: 1 is one Star) by currency."""

    id: str
    credits: Credits
    bonus_credits: Credits = Credits(0)
    prices: dict[str, int] = msgspec.field(default_factory=dict)


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tier for `days`. For credits, or as a subscription that Telegram renews for Stars."""

    id: str
    tier: str
    days: int
    price_credits: Credits
    stars: int = 0
    """Price of the native 30-day Stars subscription; 0: not offered."""


class Method(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A provider that is switched on, and the currency it asks for."""

    provider: str
    currency: str
    exponent: int = 0
    """Digits of a minor unit: 2 for RUB and USD, 0 for Stars (XTR)."""


# --- what people ask ---------------------------------------------------------------------------


class CreatePayment(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody wants to pay for a pack or a plan. One `payment_id` is one invoice, however often.

    The amount is the one shown: another is rejected. `order_id`: the order that waits for it.
    """

    subject: ClassVar[str] = "billing.cmd.create_payment.v1"

    payment_id: PaymentId
    user_id: UserId
    provider: str
    product_id: str
    amount_minor: int
    currency: str
    order_id: OrderId | None = None

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class CancelPayment(Command, frozen=True, kw_only=True, omit_defaults=True):
    """The payer does not want it any more. Money that comes all the same is credited."""

    subject: ClassVar[str] = "billing.cmd.cancel_payment.v1"

    payment_id: PaymentId
    user_id: UserId

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class BuyPlan(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Buy a plan with credits at the price shown. One `order_id` is one purchase."""

    subject: ClassVar[str] = "billing.cmd.buy_plan.v1"

    order_id: OrderId
    user_id: UserId
    plan_id: str
    price_credits: Credits
    priced_at: datetime

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class ChangeSubscription(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Stop (`cancelled`) or resume the renewals of a Stars subscription; what is paid stays."""

    subject: ClassVar[str] = "billing.cmd.change_subscription.v1"

    user_id: UserId
    charge_id: str
    cancelled: bool

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class RefundCharge(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give a charge's money back, or a part of it, and take back what that bought.

    All refunds of a charge together never give back more than came.
    """

    subject: ClassVar[str] = "billing.cmd.refund_charge.v1"

    provider: str
    charge_id: str
    user_id: UserId
    reason: str
    actor: str
    amount_minor: int | None = None
    """None: all that is still ours. A part only where the provider can."""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class WatchPayments(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Ask providers about open payments. Sent by a scheduler tick: a hint."""

    subject: ClassVar[str] = "billing.cmd.watch_payments.v1"

    due_at: datetime


# --- what became of it -------------------------------------------------------------------------


class PaymentCreated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It can be paid now: at `pay_url`, or by a Stars invoice with `invoice_payload`."""

    subject: ClassVar[str] = "billing.evt.payment_created.v1"

    payment_id: PaymentId
    user_id: UserId
    provider: str
    product: str
    product_id: str
    credits: Credits
    amount_minor: int
    currency: str
    pay_url: str = ""
    invoice_payload: str = ""
    subscription_days: int = 0
    """Above 0: a native subscription, renewed by the provider after so many days."""
    expires_at: datetime | None = None
    order_id: OrderId | None = None


class PaymentFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """No invoice could be made, or it ended unpaid (`code`); nothing was charged."""

    subject: ClassVar[str] = "billing.evt.payment_failed.v1"

    payment_id: PaymentId
    user_id: UserId
    provider: str
    code: str
    order_id: OrderId | None = None


class PaymentCredited(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Money came and what it bought was given, in the same transaction. Once per charge."""

    subject: ClassVar[str] = "billing.evt.payment_credited.v1"

    payment_id: PaymentId
    charge_id: str
    user_id: UserId
    provider: str
    product: str
    product_id: str
    credits: Credits
    amount_minor: int
    currency: str
    available_credits: Credits
    debt_paid_credits: Credits = Credits(0)
    late: bool = False
    """The invoice had expired or was cancelled; the money counts all the same."""
    recurring: bool = False
    tier: str = ""
    until: datetime | None = None
    order_id: OrderId | None = None
    added_to: str = ""
    """The higher tier that runs and got the paid one's days, by its worth; `until` is its end."""
    added_days: int = 0

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class PaymentHeld(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Money came that does not match its invoice (`code`): a person decides, nothing is guessed."""

    subject: ClassVar[str] = "billing.evt.payment_held.v1"

    charge_id: str
    user_id: UserId
    provider: str
    code: str
    amount_minor: int
    currency: str
    payment_id: PaymentId | None = None


class ChargeRefunded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Money went back (or was charged back), and what it had bought was taken back."""

    subject: ClassVar[str] = "billing.evt.charge_refunded.v1"

    charge_id: str
    user_id: UserId
    provider: str
    amount_minor: int
    currency: str
    taken_credits: Credits
    debt_credits: Credits = Credits(0)
    """What could not be taken from the balance; new orders wait until it is paid."""
    charged_back: bool = False
    left_minor: int = 0
    """What of the charge did not go back; its credits stay."""


class RefundRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The provider gave nothing back (`code`); what had been taken was returned."""

    subject: ClassVar[str] = "billing.evt.refund_refused.v1"

    charge_id: str
    user_id: UserId
    provider: str
    code: str


class PlanBought(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A plan was paid with credits and begins now, or after the one that runs."""

    subject: ClassVar[str] = "billing.evt.plan_bought.v1"

    order_id: OrderId
    user_id: UserId
    plan_id: str
    tier: str
    until: datetime
    charged_credits: Credits
    available_credits: Credits


class PlanRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.plan_refused.v1"

    order_id: OrderId
    user_id: UserId
    plan_id: str
    code: str
    price_credits: Credits | None = None
    available_credits: Credits | None = None
    debt_credits: Credits = Credits(0)


class SubscriptionChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """State of a native subscription: `active`, `cancelled` (runs out) or `ended`."""

    subject: ClassVar[str] = "billing.evt.subscription_changed.v1"
    carries_state: ClassVar[bool] = True

    user_id: UserId
    charge_id: str
    plan_id: str
    state: str
    until: datetime
    by_payment: bool = False
    """A payment began or prolonged it, and says so itself."""


class ProviderAlarmed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Operators should look: a token is refused, webhooks seem disabled, a statement differs."""

    subject: ClassVar[str] = "billing.evt.provider_alarmed.v1"

    provider: str
    code: str
    detail: str = ""


# --- reads -------------------------------------------------------------------------------------


class GetOffers(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.rpc.offers"

    user_id: UserId


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A native subscription of this person that still runs."""

    charge_id: str
    plan_id: str
    state: str
    until: datetime


class Offers(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What can be bought now, and how it can be paid."""

    packs: tuple[Pack, ...] = ()
    plans: tuple[Plan, ...] = ()
    access: tuple[AccessPlan, ...] = ()
    methods: tuple[Method, ...] = ()
    priced_at: datetime | None = None
    available_credits: Credits = Credits(0)
    subscriptions: tuple[Subscribed, ...] = ()
    debt_credits: Credits = Credits(0)
    """What is owed; it is paid before anything can be bought with credits."""


class CheckPreCheckout(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Telegram asks whether a Stars payment may go on; answered well within two seconds."""

    subject: ClassVar[str] = "billing.rpc.pre_checkout"

    user_id: UserId
    invoice_payload: str
    currency: str
    total_amount: int


class PreCheckoutAnswer(Reply, frozen=True, kw_only=True, omit_defaults=True):
    ok: bool
    code: str = ""


class GetCharges(Request, frozen=True, kw_only=True, omit_defaults=True):
    """A person's last charges, newest first: for /paysupport."""

    subject: ClassVar[str] = "billing.rpc.charges"

    user_id: UserId
    limit: int = 10


class ChargeLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    charge_id: str
    provider: str
    product_id: str
    amount_minor: int
    currency: str
    credits: Credits
    state: str
    paid_at: datetime
    pack_credits: Credits = Credits(0)
    """What the paid pack gives, while it is on offer; `credits` are those that were given."""
    tier: str = ""
    """Of the paid plan; without `days` it is no longer on offer."""
    days: int = 0


class Charges(Reply, frozen=True, kw_only=True, omit_defaults=True):
    charges: tuple[ChargeLine, ...] = ()
