"""What became of money: credited, held, failed, given back; and where to ask about it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from zoneinfo import ZoneInfo

from contracts import errors
from contracts.ids import UserId
from contracts.money import Credits
from contracts.operators import CreditsAdjusted, OrderCreditedBack
from contracts.payments import (
    ChargeLine,
    ChargeRefunded,
    PaymentCredited,
    PaymentFailed,
    PaymentHeld,
    ProviderAlarmed,
    RefundRefused,
)
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage, pack
from gateway.domain.moments import moment
from gateway.domain.money import money
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens.account import plan_name, signed, tier_name
from gateway.domain.screens.menu import menu_button
from gateway.domain.screens.top_up import method_name

_STATES = frozenset({"review", "paid", "refunding", "refunded", "charged_back", "rejected"})
_FAILURES = {
    errors.PROVIDER_FAILED: "payment-provider-failed",
    errors.PROVIDER_OFF: "payment-method-off",
    errors.EXPIRED: "payment-expired",
    errors.CANCELLED: "payment-dropped",
    errors.PRICE_CHANGED: "price-changed",
    errors.UNKNOWN_PRODUCT: "payment-product-gone",
    errors.ALREADY_SUBSCRIBED: "plan-subscribed",
    errors.HIGHER_TIER_ACTIVE: "plan-higher-active",
    errors.TIER_WITHOUT_END: "plan-endless",
    errors.NO_ACCOUNT: "refused-no-account",
}
_DECLINED = {
    errors.EXPIRED: "pre-checkout-expired",
    errors.PRICE_EXPIRED: "pre-checkout-expired",
    errors.CANCELLED: "pre-checkout-cancelled",
    errors.ALREADY_PAID: "pre-checkout-already-paid",
    errors.ALREADY_FINISHED: "pre-checkout-already-paid",
    errors.NOT_YOURS: "pre-checkout-not-yours",
    errors.WRONG_AMOUNT: "pre-checkout-other-amount",
    errors.WRONG_CURRENCY: "pre-checkout-other-amount",
    errors.PRICE_CHANGED: "pre-checkout-other-amount",
    errors.PROVIDER_OFF: "pre-checkout-no-answer",
    "no_answer": "pre-checkout-no-answer",
}


def declined(say: Say, code: str) -> str:
    """Why a payment may not go on; Telegram shows it, and nobody is charged."""
    return say(_DECLINED.get(code, "pre-checkout-unknown"))


def paid(say: Say, event: PaymentCredited) -> Screen:
    """The last text of the message that asked for the money."""
    return Screen(text=say("payment-paid", price=money(event.amount_minor, event.currency)))


def credited(say: Say, event: PaymentCredited, zone: ZoneInfo, *, bonus: Credits) -> Screen:
    """`bonus`: how much of the credits was on top, where that is known."""
    price = money(event.amount_minor, event.currency)
    lines = [say("payment-paid", price=price)]
    if event.credits:
        lines.append(say("payment-credits", credits=event.credits))
    if event.credits and bonus:
        lines.append(say("payment-bonus", credits=bonus))
    if event.tier and event.until is not None:
        lines.append(_tier(say, event, moment(say, event.until, zone)))
    if event.debt_paid_credits:
        lines.append(say("credits-granted-debt", credits=event.debt_paid_credits))
    if event.late:
        lines.append(say("payment-late"))
    lines.append(say("topup-have", credits=event.available_credits))
    data = pack(OpenPage(callbacks.BALANCE, fresh=True))
    row = (Button(say("button-balance"), data), menu_button(say, fresh=True))
    return Screen(text="\n".join(lines), buttons=(row,))


def _tier(say: Say, event: PaymentCredited, until: str) -> str:
    tier = tier_name(say, event.tier)
    if event.added_to:
        higher = tier_name(say, event.added_to)
        days = event.added_days
        return say("payment-tier-added", tier=tier, higher=higher, days=days, until=until)
    return say("payment-renewed" if event.recurring else "payment-tier", tier=tier, until=until)


def order_not_resumed(say: Say) -> Screen:
    """The order that was to go on was closed meanwhile; the credits are the person's."""
    return Screen(text=say("payment-order-closed"), buttons=((menu_button(say, fresh=True),),))


def failed(say: Say, event: PaymentFailed) -> Screen:
    lines = [say(_FAILURES.get(event.code, "payment-failed"))]
    if event.code != errors.CANCELLED:
        lines.append(say("payment-not-charged"))
    button = Button(say("button-top-up"), pack(OpenPage(callbacks.TOP_UP, fresh=True)))
    return Screen(text="\n".join(lines), buttons=((button,), (menu_button(say, fresh=True),)))


def held(say: Say, event: PaymentHeld) -> Screen:
    """Nothing is guessed, and nothing is lost."""
    price = money(event.amount_minor, event.currency)
    text = say("payment-held", price=price, charge=escape(event.charge_id))
    return Screen(text=text, buttons=((menu_button(say, fresh=True),),))


def operators_held(say: Say, event: PaymentHeld) -> Screen:
    text = say(
        "operators-payment-held",
        user=str(event.user_id),
        provider=escape(event.provider),
        charge=escape(event.charge_id),
        price=money(event.amount_minor, event.currency),
        reason=escape(event.code),
    )
    return Screen(text=text)


def operators_alarm(say: Say, event: ProviderAlarmed) -> Screen:
    text = say(
        "operators-provider-alarm",
        provider=escape(event.provider),
        reason=escape(event.code),
        detail=escape(event.detail) or "–",
    )
    return Screen(text=text)


def operators_asked(say: Say, user_id: UserId, words: str) -> Screen:
    """`words` are a stranger's: never anything but text."""
    return Screen(text=say("operators-asked", user=str(user_id), words=escape(words)))


def refunded(say: Say, event: ChargeRefunded) -> Screen:
    price = money(event.amount_minor, event.currency)
    first = "charge-charged-back" if event.charged_back else "charge-refunded"
    lines = [say(first, price=price)]
    if event.taken_credits:
        lines.append(say("charge-taken", credits=event.taken_credits))
    if event.debt_credits:
        lines.append(say("charge-debt", credits=event.debt_credits))
    data = pack(OpenPage(callbacks.BALANCE, fresh=True))
    return Screen(text="\n".join(lines), buttons=((Button(say("button-balance"), data),),))


def refund_refused(say: Say, event: RefundRefused) -> Screen:
    text = say("refund-refused", charge=escape(event.charge_id))
    return Screen(text=text, buttons=((menu_button(say, fresh=True),),))


def adjusted(say: Say, event: CreditsAdjusted) -> Screen:
    if event.credits >= 0:
        lines = [say("credits-adjusted-up", credits=event.credits)]
    else:
        lines = [say("credits-adjusted-down", credits=-event.credits)]
    if event.reason:
        lines.append(say("credits-adjusted-reason", reason=escape(event.reason)))
    if event.debt_credits:
        lines.append(say("charge-debt", credits=event.debt_credits))
    data = pack(OpenPage(callbacks.BALANCE, fresh=True))
    return Screen(text="\n".join(lines), buttons=((Button(say("button-balance"), data),),))


def credited_back(say: Say, event: OrderCreditedBack, title: str) -> Screen:
    """Credits of a finished order were given back; vpn tells itself of access that ends."""
    lines = [say("order-credited-back", credits=event.credits, title=title)]
    if event.left_credits:
        lines.append(say("order-credited-back-left", credits=event.left_credits))
    lines.append(say("credits-adjusted-reason", reason=escape(event.reason)))
    if event.debt_paid_credits:
        lines.append(say("credits-granted-debt", credits=event.debt_paid_credits))
    lines.append(say("topup-have", credits=event.available_credits))
    data = pack(OpenPage(callbacks.BALANCE, fresh=True))
    return Screen(text="\n".join(lines), buttons=((Button(say("button-balance"), data),),))


def support(
    say: Say,
    charges: Sequence[ChargeLine] | None,
    zone: ZoneInfo,
    *,
    contact: str,
    read_here: bool,
) -> Screen:
    """Where to ask, with the numbers to name. `charges` None: billing did not answer."""
    lines = [say("paysupport"), ""]
    if charges:
        lines.append(say("paysupport-charges"))
        lines += [_charge(say, each, zone) for each in charges]
    else:
        lines.append(say("paysupport-no-list" if charges is None else "paysupport-no-charges"))
    lines.append("")
    if contact:
        lines.append(say("paysupport-contact", contact=escape(contact)))
    if read_here:
        lines.append(say("paysupport-write-here"))
    lines.append(say("paysupport-telegram" if contact or read_here else "paysupport-nobody"))
    return Screen(text="\n".join(lines), buttons=((menu_button(say),),))


def _charge(say: Say, line: ChargeLine, zone: ZoneInfo) -> str:
    known = line.state in _STATES
    state = say(f"charge-state-{line.state.replace('_', '-')}") if known else escape(line.state)
    price = money(line.amount_minor, line.currency)
    return say(
        "paysupport-charge",
        at=moment(say, line.paid_at, zone),
        price=price,
        what=_bought(say, line),
        method=method_name(say, line.provider),
        state=state,
        charge=escape(line.charge_id),
    )


def _bought(say: Say, line: ChargeLine) -> str:
    if line.credits:
        return signed(line.credits)
    if line.tier:
        return plan_name(say, line.tier, days=line.days)
    if line.pack_credits:
        return say("amount", credits=line.pack_credits)
    return say("paysupport-unnamed")
