"""Buying credits for money: the packs, the ways to pay, and the payment on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from contracts import payments
from contracts.ids import OrderId, PaymentId, UserId
from contracts.money import Credits
from contracts.payments import Method, Offers, Pack, PaymentCreated
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage, pack
from gateway.domain.checkout import CREDITS, Amount, Checkout
from gateway.domain.moments import moment
from gateway.domain.money import money
from gateway.domain.purchase_buttons import ChoosePack, DropPayment, PayWith, TopUpFor
from gateway.domain.screen import Button, Invoice, Say, Screen
from gateway.domain.screens.menu import menu_button

START_PARAMETER = "topup"
TITLE_MAX = 32
DAY_SECONDS = 86_400
_ENOUGH = "✅ "
_METHODS = frozenset({payments.STARS, payments.CRYPTO_PAY, payments.YOOKASSA})


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that goes on by itself once it is paid for."""

    order_id: OrderId
    title: str
    missing: Credits


def missing(price: Credits, offers: Offers) -> Credits:
    """How many credits more a price takes: what is owed is paid before it."""
    return Credits(max(price + offers.debt_credits - offers.available_credits, 0))


def packs(say: Say, offers: Offers, *, waiting: Waiting | None = None) -> Screen:
    """What can be bought with the methods that are switched on."""
    listed = [each for each in offers.packs if amounts(each, offers.methods)]
    last = (menu_button(say),)
    if not listed:
        return Screen(text=say("topup-closed"), buttons=(last,))
    lines = [say("topup-title"), say("topup-have", credits=offers.available_credits)]
    if offers.debt_credits:
        lines.append(say("balance-debt", credits=offers.debt_credits))
    if waiting is not None and waiting.missing:
        lines.append(say("topup-missing", title=waiting.title, credits=waiting.missing))
    lines += ["", *(_pack_line(say, each, offers.methods) for each in listed)]
    lines += ["", say("topup-promise")]
    rows = tuple(
        (
            Button(
                _pack_name(say, each, waiting),
                pack(ChoosePack(each.id, waiting.order_id if waiting is not None else None)),
            ),
        )
        for each in listed
    )
    return Screen(text="\n".join(lines), buttons=(*rows, last))


def amounts(offered: Pack, methods: Sequence[Method]) -> tuple[Amount, ...]:
    """What each way of paying asks for a pack; a way without a price is not there."""
    return tuple(
        Amount(
            method=method.provider,
            currency=method.currency,
            amount_minor=offered.prices[method.currency],
            exponent=method.exponent,
        )
        for method in methods
        if method.currency in offered.prices
    )


def _pack_line(say: Say, offered: Pack, methods: Sequence[Method]) -> str:
    prices = " · ".join(_money(each) for each in amounts(offered, methods))
    if offered.bonus_credits:
        return say(
            "topup-pack-bonus",
            credits=offered.credits,
            bonus=offered.bonus_credits,
            prices=prices,
        )
    return say("topup-pack", credits=offered.credits, prices=prices)


def _pack_name(say: Say, offered: Pack, waiting: Waiting | None) -> str:
    """A pack that is enough for the waiting order is marked."""
    name = say("amount", credits=offered.credits)
    if offered.bonus_credits:
        name = say("button-pack-bonus", credits=offered.credits, bonus=offered.bonus_credits)
    total = offered.credits + offered.bonus_credits
    return f"{_ENOUGH}{name}" if waiting is not None and total >= waiting.missing > 0 else name


def of_pack(
    offered: Pack, offers: Offers, *, checkout_id: PaymentId, user_id: UserId, now: datetime
) -> Checkout:
    """The screen's row. The amounts are kept as shown: another one is never charged."""
    return Checkout(
        checkout_id=checkout_id,
        user_id=user_id,
        product=payments.PRODUCT_PACK,
        product_id=offered.id,
        credits=offered.credits,
        bonus_credits=offered.bonus_credits,
        amounts=amounts(offered, offers.methods),
        priced_at=offers.priced_at or now,
    )


def checkout(say: Say, shown: Checkout) -> Screen:
    """The question how it is to be paid."""
    lines = [say("checkout-pack", credits=shown.credits)]
    if shown.bonus_credits:
        lines.append(say("checkout-bonus", credits=shown.bonus_credits))
    lines += ["", say("checkout-how"), say("checkout-terms")]
    back = (
        pack(OpenPage(callbacks.TOP_UP))
        if shown.order_id is None
        else pack(TopUpFor(shown.order_id))
    )
    return Screen(
        text="\n".join(lines),
        buttons=(*pay_rows(say, shown), (Button(say("button-back"), back), menu_button(say))),
    )


def pay_rows(say: Say, shown: Checkout) -> tuple[tuple[Button, ...], ...]:
    return tuple(
        (
            Button(
                say("button-pay", method=method_name(say, each.method), price=_money(each)),
                pack(PayWith(shown.checkout_id, each.method)),
            ),
        )
        for each in shown.amounts
        if each.method != CREDITS
    )


def method_name(say: Say, provider: str) -> str:
    """A provider this release does not know keeps its wire name."""
    return say(f"method-{provider.replace('_', '-')}") if provider in _METHODS else escape(provider)


def preparing(say: Say) -> Screen:
    return Screen(text=say("payment-preparing"))


def _drop_row(say: Say, payment_id: PaymentId) -> tuple[Button, ...]:
    return (Button(say("button-drop-payment"), pack(DropPayment(payment_id))),)


def payable(say: Say, event: PaymentCreated, zone: ZoneInfo) -> Screen:
    """Where to pay; a Stars invoice is a message of its own below this one."""
    price = money(event.amount_minor, event.currency)
    drop = _drop_row(say, event.payment_id)
    if event.pay_url:
        method = method_name(say, event.provider)
        lines = [say("payment-open", price=price, method=method), *_until(say, event, zone)]
        link = (Button(say("button-pay-link", price=price), url=event.pay_url),)
        return Screen(text="\n".join(lines), buttons=(link, drop))
    lines = [say("payment-stars-below", price=price), *_until(say, event, zone)]
    return Screen(text="\n".join(lines), buttons=(drop,))


def _until(say: Say, event: PaymentCreated, zone: ZoneInfo) -> list[str]:
    if event.expires_at is None:
        return []
    return [say("payment-until", until=moment(say, event.expires_at, zone))]


def stars_invoice(say: Say, event: PaymentCreated) -> Screen:
    """The invoice itself; the pay button is Telegram's."""
    title = say("amount", credits=event.credits)
    return Screen(
        text=title,
        invoice=Invoice(
            title=title[:TITLE_MAX],
            description=say("invoice-pack"),
            payload=event.invoice_payload,
            amount=event.amount_minor,
            start_parameter=START_PARAMETER,
        ),
    )


def stars_subscription(say: Say, event: PaymentCreated, name: str) -> Screen:
    """A button that opens the subscription; renewals are Telegram's, and are stopped in /vip."""
    price = money(event.amount_minor, event.currency)
    text = say("payment-subscription", plan=name, price=price, days=event.subscription_days)
    return Screen(
        text=text,
        buttons=(_drop_row(say, event.payment_id),),
        invoice=Invoice(
            title=name[:TITLE_MAX],
            description=say("invoice-subscription", plan=name),
            payload=event.invoice_payload,
            amount=event.amount_minor,
            start_parameter=START_PARAMETER,
            subscription_seconds=event.subscription_days * DAY_SECONDS,
            button=say("button-pay-link", price=price),
        ),
    )


def dropped(say: Say, *, asked: bool) -> Screen:
    """`asked`: there may be an invoice, and what is paid on it counts all the same."""
    key = "payment-dropped-late" if asked else "payment-dropped"
    return Screen(text=say(key), buttons=((menu_button(say, fresh=True),),))


def owing(say: Say, debt: Credits, price: Credits | None) -> str:
    """Why nothing can be bought: what is owed, and what pays it."""
    lines = [say("refused-owing", credits=debt)]
    if price:
        lines.append(say("refused-owing-all", credits=Credits(debt + price)))
    return "\n".join(lines)


def top_up_button(say: Say, order_id: OrderId) -> Button:
    return Button(say("button-top-up-continue"), pack(TopUpFor(order_id)))


def _money(amount: Amount) -> str:
    return money(amount.amount_minor, amount.currency, amount.exponent)
