"""What became of VPN access: bought, renewed, refused, ending, ended; in words for its owner."""

from __future__ import annotations

from html import escape
from zoneinfo import ZoneInfo

from contracts import errors, vpn
from contracts.access import KIND_TRAFFIC, KIND_TRIAL, AccessBought, AccessNotBought
from contracts.vpn import (
    AccessChanged,
    AccessReminded,
    EverybodyExtended,
    KeyRotated,
    NodeAlarmed,
)
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage, pack
from gateway.domain.moments import dated, moment
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens import top_up
from gateway.domain.screens.menu import menu_button

_REFUSALS = {
    errors.PRICE_CHANGED: "price-changed",
    errors.PRICE_EXPIRED: "price-expired",
    errors.UNKNOWN_PRODUCT: "vpn-gone",
    errors.TRIAL_USED: "vpn-trial-used",
    errors.NO_NODES: "vpn-no-nodes",
    errors.NO_SUBSCRIPTION: "vpn-no-subscription",
    errors.NO_ACCOUNT: "refused-no-account",
    errors.IN_DEBT: "refused-in-debt",
    errors.HOLD_EXPIRED: "vpn-no-answer",
    errors.STALE_PERIOD: "vpn-period-over",
}


def _vpn(say: Say) -> Button:
    return Button(say("button-vpn"), pack(OpenPage(callbacks.VPN, fresh=True)))


def _extend(say: Say) -> Button:
    return Button(say("button-vpn-extend"), pack(OpenPage(callbacks.VPN_PLANS, fresh=True)))


def _top_up(say: Say) -> Button:
    return Button(say("button-top-up"), pack(OpenPage(callbacks.TOP_UP, fresh=True)))


def bought(say: Say, event: AccessBought, zone: ZoneInfo) -> Screen:
    until = dated(say, event.until, zone)
    if event.renewal:
        lines = [say("vpn-renewed", until=until)]
    elif event.kind == KIND_TRAFFIC:
        lines = [say("vpn-traffic-added")]
    elif event.kind == KIND_TRIAL:
        lines = [say("vpn-trial-begun", until=until)]
    else:
        lines = [say("vpn-bought", until=until)]
    if event.charged_credits:
        lines.append(say("result-charged", credits=event.charged_credits))
        lines.append(say("topup-have", credits=event.available_credits))
    return Screen(text="\n".join(lines), buttons=((_vpn(say), menu_button(say, fresh=True)),))


def not_bought(say: Say, event: AccessNotBought) -> Screen:
    """Why not, that nothing was charged, and the way on."""
    again = _extend(say)
    short = event.code in {errors.INSUFFICIENT_CREDITS, errors.IN_DEBT}
    row = (_top_up(say), again) if short else (again,)
    text = "\n".join([_refusal(say, event), say("not-charged")])
    return Screen(text=text, buttons=(row, (menu_button(say, fresh=True),)))


def _refusal(say: Say, event: AccessNotBought) -> str:
    if event.code == errors.INSUFFICIENT_CREDITS:
        needed, available = event.price_credits or 0, event.available_credits or 0
        if event.renewal or not needed:
            return say("vpn-renewal-short", available=say("amount", credits=available))
        return say(
            "refused-insufficient",
            credits=needed,
            available=say("amount", credits=available),
            missing=max(needed - available, 0),
        )
    if event.code == errors.IN_DEBT and event.debt_credits:
        return top_up.owing(say, event.debt_credits, event.price_credits)
    if event.code == errors.PRICE_CHANGED and event.price_credits is not None:
        return say("plan-price-changed", credits=event.price_credits)
    return say(_REFUSALS.get(event.code, "vpn-refused"))


def changed(say: Say, event: AccessChanged, zone: ZoneInfo) -> Screen | None:
    """None: another event tells it, or the person did it themselves."""
    if event.cause == vpn.CAUSE_EXPIRED:
        if event.state == vpn.STATE_GRACE and event.grace_until is not None:
            text = say("vpn-now-grace", until=moment(say, event.grace_until, zone))
        elif event.delete_at is not None:
            text = say("vpn-now-suspended", until=moment(say, event.delete_at, zone))
        else:
            text = say("vpn-now-over")
    elif event.cause == vpn.CAUSE_EXTENDED:
        until = dated(say, event.until, zone)
        text = say("vpn-days-given", days=event.days, until=until)
        if event.reason:
            text = f"{text}\n{escape(event.reason)}"
    elif event.cause in _CHANGES:
        text = say(_CHANGES[event.cause])
        if event.cause == vpn.CAUSE_REVOKED and not event.auto_renew:
            text = f"{text}\n{say('vpn-revoked-renews-not')}"
    else:
        return None
    return Screen(text=text, buttons=((_vpn(say), _extend(say)), (menu_button(say, fresh=True),)))


_CHANGES = {
    vpn.CAUSE_TRAFFIC_SPENT: "vpn-traffic-spent",
    vpn.CAUSE_REVOKED: "vpn-revoked",
    vpn.CAUSE_DELETED: "vpn-deleted",
    vpn.CAUSE_PLAN: "vpn-plan-changed",
}


def reminded(say: Say, event: AccessReminded, zone: ZoneInfo) -> Screen:
    until = moment(say, event.until, zone)
    if event.kind == vpn.REMINDER_CREDITS_SHORT:
        lines, row = [say("vpn-remind-short", until=until)], (_top_up(say), _extend(say))
        return Screen(text="\n".join(lines), buttons=(row,))
    if event.kind == vpn.REMINDER_TRAFFIC:
        text = say("vpn-remind-traffic", percent=event.percent)
    elif event.kind == vpn.REMINDER_DEVICES:
        text = say("vpn-remind-devices", limit=event.limit)
    elif event.kind == vpn.REMINDER_TRIAL:
        text = say("vpn-remind-trial", until=until)
    elif event.days_left:
        text = say("vpn-remind-days", days=event.days_left, until=until)
    else:
        text = say("vpn-remind-today", until=until)
    if event.auto_renew and event.kind == vpn.REMINDER_BEFORE_END:
        text = f"{text}\n{say('vpn-remind-renews')}"
    return Screen(text=text, buttons=((_extend(say), _vpn(say)),))


def key_replaced(say: Say, event: KeyRotated) -> Screen:
    if event.confirmed:
        lines = [say("vpn-key-replaced")]
    else:
        lines = [say("vpn-key-waiting", count=event.waiting_nodes)]
    lines.append(say("vpn-key-new-link" if event.link_too else "vpn-key-same-link"))
    return Screen(text="\n".join(lines), buttons=((_vpn(say),),))


def operators_node(say: Say, event: NodeAlarmed) -> Screen:
    return Screen(
        text=say(
            "operators-node",
            node=escape(event.node),
            reason=escape(event.code),
            detail=escape(event.detail),
        )
    )


def operators_extended(say: Say, event: EverybodyExtended) -> Screen:
    text = say(
        "operators-extended",
        days=event.days,
        count=event.subscriptions,
        actor=escape(event.actor),
    )
    return Screen(text=text)
