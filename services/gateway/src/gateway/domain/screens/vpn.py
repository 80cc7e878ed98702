"""VPN access: what is on offer, the person's subscription and its link, what they are asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from contracts.access import KIND_PLAN, KIND_TRAFFIC, KIND_TRIAL, PRODUCT_ACCESS, AccessPlan
from contracts.ids import OrderId, PaymentId, UserId
from contracts.payments import Offers
from contracts.vpn import (
    STATE_ACTIVE,
    STATE_ENDED,
    STATE_GRACE,
    STATE_SUSPENDED,
    Access,
)
from gateway.domain import callbacks
from gateway.domain.access_buttons import (
    AUTO_RENEW,
    REMINDERS,
    ChooseAccess,
    ReplaceKey,
    SetOption,
)
from gateway.domain.callbacks import OpenPage, pack
from gateway.domain.checkout import CREDITS, Amount, Checkout
from gateway.domain.moments import dated
from gateway.domain.purchase_buttons import PayWith, TopUpFor
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens.menu import menu_button

GIB = 1 << 30
_STATES = {
    STATE_ACTIVE: "vpn-active",
    STATE_GRACE: "vpn-grace",
    STATE_SUSPENDED: "vpn-suspended",
    STATE_ENDED: "vpn-ended",
}
Row = tuple[Button, ...]


def page(say: Say, access: Access, offers: Offers, zone: ZoneInfo) -> Screen:
    """The subscription, or what one would be."""
    if not offers.access and not access.exists:
        return Screen(text=say("vpn-closed"), buttons=((menu_button(say),),))
    if not access.exists or access.state == STATE_ENDED:
        return plans(say, access, offers)
    lines = [say("vpn-title"), "", _state_line(say, access, zone), *_usage(say, access)]
    if access.nodes:
        marks = {True: "vpn-node-up", False: "vpn-node-down"}
        lines += ["", *(say(marks[each.up], name=escape(each.region)) for each in access.nodes)]
    if access.link:
        lines += ["", say("vpn-link"), f"<code>{escape(access.link)}</code>"]
    return Screen(text="\n".join(lines), buttons=tuple(_page_rows(say, access, offers)))


def _state_line(say: Say, access: Access, zone: ZoneInfo) -> str:
    ends = access.grace_until if access.state == STATE_GRACE else access.until
    until = dated(say, ends, zone) if ends is not None else ""
    key = _STATES.get(access.state, "vpn-suspended")
    if access.trial and access.state == STATE_ACTIVE:
        key = "vpn-active-trial"
    return say(key, until=until)


def _usage(say: Say, access: Access) -> list[str]:
    used = gibibytes(access.used_bytes)
    if access.limit_bytes:
        lines = [say("vpn-traffic-of", used=used, limit=gibibytes(access.limit_bytes))]
    else:
        lines = [say("vpn-traffic", used=used)]
    if access.devices:
        lines.append(say("vpn-devices", online=access.devices_online, limit=access.devices))
    return lines


def _page_rows(say: Say, access: Access, offers: Offers) -> Iterable[Row]:
    if access.link.startswith("https://"):
        # Telegram refuses a button with an address only this machine knows.
        yield (Button(say("button-vpn-connect"), url=access.link),)
    if offers.access:
        yield (Button(say("button-vpn-extend"), pack(OpenPage(callbacks.VPN_PLANS))),)
    yield (_option(say, AUTO_RENEW, on=access.auto_renew),)
    yield (_option(say, REMINDERS, on=access.reminders),)
    yield (Button(say("button-vpn-key"), pack(ReplaceKey(confirmed=False))),)
    yield (menu_button(say),)


def _option(say: Say, option: str, *, on: bool) -> Button:
    """The label says how it is; a tap makes it the other way."""
    keys = {
        (AUTO_RENEW, True): "button-vpn-renew-on",
        (AUTO_RENEW, False): "button-vpn-renew-off",
        (REMINDERS, True): "button-vpn-remind-on",
        (REMINDERS, False): "button-vpn-remind-off",
    }
    return Button(say(keys[option, on]), pack(SetOption(option, not on)))


def plans(say: Say, access: Access, offers: Offers) -> Screen:
    """What can be bought now: the trial only by who never had it, traffic only on top of a plan."""
    shown = [each for each in offers.access if _is_for(each, access)]
    if not shown:
        return Screen(text=say("vpn-closed"), buttons=((menu_button(say),),))
    lines = [say("vpn-title"), say("vpn-about"), ""]
    lines += [_line(say, each) for each in shown]
    lines += ["", say("vpn-rules"), say("topup-have", credits=offers.available_credits)]
    rows = [(Button(plan_name(say, each), pack(ChooseAccess(each.id))),) for each in shown]
    return Screen(text="\n".join(lines), buttons=(*rows, (menu_button(say),)))


def _is_for(plan: AccessPlan, access: Access) -> bool:
    if plan.kind == KIND_TRIAL:
        return not access.trial_used and not access.exists
    if plan.kind == KIND_TRAFFIC:
        return access.state == STATE_ACTIVE and bool(access.limit_bytes)
    return plan.kind == KIND_PLAN


def plan_name(say: Say, plan: AccessPlan) -> str:
    if plan.kind == KIND_TRIAL:
        return say("vpn-trial-name", days=plan.days)
    if plan.kind == KIND_TRAFFIC:
        return say("vpn-traffic-name", gib=plan.traffic_gib)
    return say("vpn-plan-name", days=plan.days)


def _line(say: Say, plan: AccessPlan) -> str:
    price = say("amount", credits=plan.price_credits) if plan.price_credits else say("free")
    details = []
    if plan.kind != KIND_TRAFFIC:
        if plan.traffic_gib:
            details.append(say("vpn-plan-traffic", gib=plan.traffic_gib))
        if plan.devices:
            details.append(say("vpn-plan-devices", count=plan.devices))
    return say("vpn-plan-line", plan=plan_name(say, plan), price=price, details="".join(details))


def of_access(
    plan: AccessPlan, offers: Offers, *, checkout_id: PaymentId, user_id: UserId, now: datetime
) -> Checkout:
    """The screen's row: access is paid out of the balance alone."""
    price = Amount(method=CREDITS, currency=CREDITS, amount_minor=plan.price_credits)
    return Checkout(
        checkout_id=checkout_id,
        user_id=user_id,
        product=PRODUCT_ACCESS,
        product_id=plan.id,
        amounts=(price,),
        priced_at=offers.priced_at or now,
    )


def checkout(say: Say, shown: Checkout, plan: AccessPlan, offers: Offers) -> Screen:
    """Short of credits, the way there is a top-up after which this goes on by itself."""
    lines = [
        f"<b>{plan_name(say, plan)}</b>",
        say("topup-have", credits=offers.available_credits),
        *([say("balance-debt", credits=offers.debt_credits)] if offers.debt_credits else []),
        say("checkout-terms"),
    ]
    label = say("button-pay-credits", credits=plan.price_credits)
    rows: list[Row] = [(Button(label, pack(PayWith(shown.checkout_id, CREDITS))),)]
    if offers.debt_credits or offers.available_credits < plan.price_credits:
        waits = TopUpFor(OrderId(shown.checkout_id))
        rows = [(Button(say("button-top-up-continue"), pack(waits)),)]
    back = Button(say("button-back"), pack(OpenPage(callbacks.VPN_PLANS)))
    return Screen(text="\n".join(lines), buttons=(*rows, (back, menu_button(say))))


def starting(say: Say) -> Screen:
    return Screen(text=say("vpn-starting"))


def key_asked(say: Say) -> Screen:
    """A new key cuts every device until it has read the link again.

    Whoever knows the link reads the new key there: a link that leaked is replaced with it.
    """
    yes = Button(say("button-vpn-key-yes"), pack(ReplaceKey(confirmed=True)))
    both = Button(say("button-vpn-key-link-yes"), pack(ReplaceKey(confirmed=True, link_too=True)))
    back = Button(say("button-back"), pack(OpenPage(callbacks.VPN)))
    return Screen(text=say("vpn-key-ask"), buttons=((yes,), (both,), (back, menu_button(say))))


def key_being_replaced(say: Say, *, link_too: bool) -> Screen:
    text = say("vpn-key-link-replacing" if link_too else "vpn-key-replacing")
    return Screen(text=text, buttons=((menu_button(say),),))


def gibibytes(count: int) -> str:
    """Two figures are enough: 0.4, 12, 130."""
    amount = count / GIB
    return f"{amount:.1f}" if 0 < amount < 10 else f"{amount:.0f}"  # noqa: PLR2004 - one digit
