"""Promo codes, invitations, and the notice that credits are about to expire."""

from __future__ import annotations

from html import escape
from urllib.parse import quote
from zoneinfo import ZoneInfo

from contracts import errors
from contracts.money import Credits
from contracts.rewards import (
    PROMO_CREDITS,
    PROMO_DISCOUNT,
    PROMO_TIER,
    LotExpiring,
    PromoRedeemed,
    PromoRefused,
    ReferralEarned,
    Rewards,
)
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage, pack
from gateway.domain.moments import moment
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens.account import lot_name, tier_name
from gateway.domain.screens.menu import menu_button

CODE_MIN, CODE_MAX = 3, 40
_SHARE = "https://t.me/share/url"
_REASONS = {
    errors.PROMO_UNKNOWN: "promo-refused-unknown",
    errors.PROMO_USED: "promo-refused-used",
    errors.PROMO_USED_UP: "promo-refused-used-up",
    errors.PROMO_OVER: "promo-refused-over",
    errors.PROMO_NOT_YET: "promo-refused-not-yet",
    errors.PROMO_NEWCOMERS_ONLY: "promo-refused-newcomers",
    errors.PROMO_TOO_MANY: "promo-refused-tries",
    errors.HIGHER_TIER_ACTIVE: "promo-refused-tier",
    errors.TIER_WITHOUT_END: "promo-refused-tier",
    errors.NO_ACCOUNT: "refused-no-account",
}
_ANOTHER_MAY_WORK = frozenset(
    {
        errors.PROMO_UNKNOWN,
        errors.PROMO_USED,
        errors.PROMO_USED_UP,
        errors.PROMO_OVER,
        errors.PROMO_NOT_YET,
        errors.NO_ACCOUNT,  # a newcomer's link was quicker than the opening of the account
    }
)


def promo_ask(say: Say, *, mistyped: bool = False) -> Screen:
    """Asks for a code; also the answer to words that cannot be one."""
    text = say("promo-mistyped" if mistyped else "promo-ask")
    return Screen(text=text, buttons=((menu_button(say),),))


def promo_code(text: str) -> str | None:
    """The code as billing keeps it, or None for what cannot be one."""
    code = text.strip().upper()
    shaped = code.isascii() and code.replace("-", "").replace("_", "").isalnum()
    return code if shaped and CODE_MIN <= len(code) <= CODE_MAX else None


def promo_checking(say: Say, code: str) -> Screen:
    return Screen(text=say("promo-checking", code=escape(code)))


def promo_redeemed(say: Say, event: PromoRedeemed) -> Screen:
    code = escape(event.code)
    if event.kind == PROMO_CREDITS:
        given = say("promo-credits", code=code, credits=event.value)
        text = "\n".join([given, say("credits-now", credits=event.available_credits)])
    elif event.kind == PROMO_DISCOUNT:
        text = say("promo-discount", code=code, percent=event.value)
    elif event.kind == PROMO_TIER:
        text = say("promo-tier", code=code, days=event.value, tier=tier_name(say, event.tier))
    else:
        text = say("promo-accepted", code=code)
    return Screen(text=text, buttons=fresh_rows(say))


def promo_refused(say: Say, event: PromoRefused) -> Screen:
    reason = say(_REASONS.get(event.reason, "promo-refused-other"), code=escape(event.code))
    again = Button(say("button-promo-another"), pack(OpenPage(callbacks.PROMO, fresh=True)))
    rows: tuple[tuple[Button, ...], ...] = ((menu_button(say, fresh=True),),)
    if event.reason in _ANOTHER_MAY_WORK:
        rows = ((again,), *rows)
    return Screen(text=reason, buttons=rows)


def invite(say: Say, rewards: Rewards, link: str) -> Screen:
    """The person's own link, and what came of it so far."""
    lines = [
        say("invite-title"),
        say("invite-about"),
        "",
        say("invite-link", link=link),
        "",
        say("invite-count", count=rewards.invited),
        say("invite-earned", credits=rewards.earned_credits),
    ]
    if rewards.pending_credits:
        lines.append(say("invite-pending", credits=rewards.pending_credits))
    rows = ((share_button(say, link, say("invite-share")),), (menu_button(say),))
    return Screen(text="\n".join(lines), buttons=rows)


def referral_joined(say: Say) -> Screen:
    """To the one whose link it was; who came stays between the two of them."""
    return Screen(text=say("referral-joined"), buttons=_invite_rows(say))


def referral_welcome(say: Say, amount: Credits) -> Screen:
    """To the newcomer, when coming by a link is worth something."""
    photo = Button(say("button-photo"), pack(OpenPage(callbacks.PHOTO, fresh=True)))
    return Screen(text=say("referral-welcome", credits=amount), buttons=((photo,),))


def referral_earned(say: Say, event: ReferralEarned) -> Screen:
    text = say("referral-earned", credits=event.credits)
    return Screen(text=text, buttons=_invite_rows(say))


def expiring(say: Say, event: LotExpiring, zone: ZoneInfo) -> Screen:
    text = say(
        "lot-expiring",
        credits=event.credits,
        lot=lot_name(say, event.lot),
        until=moment(say, event.expires_at, zone),
        zone=zone.key,
    )
    photo = Button(say("button-photo"), pack(OpenPage(callbacks.PHOTO, fresh=True)))
    return Screen(text=text, buttons=((photo,), *fresh_rows(say)))


def share_button(say: Say, link: str, text: str) -> Button:
    """Opens Telegram's own list of chats to send the link to."""
    url = f"{_SHARE}?url={quote(link, safe='')}&text={quote(text, safe='')}"
    return Button(say("button-share"), url=url)


def fresh_rows(say: Say) -> tuple[tuple[Button, ...], ...]:
    """Balance and menu, below a notice that stays readable."""
    balance = Button(say("button-balance"), pack(OpenPage(callbacks.BALANCE, fresh=True)))
    return ((balance, menu_button(say, fresh=True)),)


def _invite_rows(say: Say) -> tuple[tuple[Button, ...], ...]:
    again = Button(say("button-invite"), pack(OpenPage(callbacks.INVITE, fresh=True)))
    return ((again, menu_button(say, fresh=True)),)
