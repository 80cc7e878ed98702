"""Credits from one person to another: choosing, confirming, the link, opening, and the refusals."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from contracts import errors
from contracts.billing import LOT_PAID, Balance
from contracts.money import Credits
from contracts.rewards import GiftMade, GiftOpened, GiftRefused, GiftReturned
from gateway.domain import callbacks
from gateway.domain.callbacks import ChooseGift, ConfirmGift, OpenPage, pack, parse_credits
from gateway.domain.moments import moment
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens.menu import menu_button
from gateway.domain.screens.rewards import fresh_rows, share_button

_AMOUNTS = (Credits(10), Credits(50), Credits(100))
_REASONS = {
    errors.GIFT_UNKNOWN: "gift-refused-unknown",
    errors.GIFT_OVER: "gift-refused-over",
    errors.GIFT_OWN: "gift-refused-own",
    errors.INVALID: "gift-refused-limit",
    errors.INSUFFICIENT_CREDITS: "gift-refused-insufficient",
    errors.IN_DEBT: "refused-in-debt",
    errors.NO_ACCOUNT: "refused-no-account",
}


def may_give(held: Balance) -> Credits:
    """Only credits that were bought can be given away."""
    bought = sum(lot.remaining_credits for lot in held.lots if lot.lot == LOT_PAID)
    return Credits(max(0, min(bought, held.available_credits)))


def choose(say: Say, most: Credits) -> Screen:
    lines = [say("gift-title"), say("gift-about")]
    if not most:
        lines.append(say("gift-nothing"))
        balance = Button(say("button-balance"), pack(OpenPage(callbacks.BALANCE)))
        return Screen(text="\n".join(lines), buttons=((balance, menu_button(say)),))
    lines.append(say("gift-most", credits=most))
    offered = tuple(
        Button(say("amount", credits=amount), pack(ChooseGift(amount)))
        for amount in _AMOUNTS
        if amount <= most
    )
    own = Button(say("button-gift-own"), pack(OpenPage(callbacks.GIFT_OWN)))
    rows = ((own,), (menu_button(say),))
    return Screen(text="\n".join(lines), buttons=(offered, *rows) if offered else rows)


def own_amount(say: Say, most: Credits, *, mistyped: bool = False) -> Screen:
    """Asks for a number; also the answer to words that are none."""
    text = say("gift-mistyped" if mistyped else "gift-type", credits=most)
    back = Button(say("button-dismiss"), pack(OpenPage(callbacks.GIFT)))
    return Screen(text=text, buttons=((back,),))


def typed_amount(text: str, most: Credits) -> Credits | None:
    """The amount somebody typed, if it is one they may give."""
    amount = parse_credits("".join(text.split()).lstrip("0"))
    return amount if amount is not None and amount <= most else None


def confirm(say: Say, gift_id: UUID, amount: Credits) -> Screen:
    yes = Button(say("button-gift-confirm", credits=amount), pack(ConfirmGift(gift_id, amount)))
    back = Button(say("button-dismiss"), pack(OpenPage(callbacks.GIFT)))
    return Screen(text=say("gift-confirm", credits=amount), buttons=((yes,), (back,)))


def making(say: Say, amount: Credits) -> Screen:
    return Screen(text=say("gift-making", credits=amount))


def made(say: Say, event: GiftMade, link: str, zone: ZoneInfo) -> Screen:
    """The link; whoever holds it may open it, once."""
    lines = [
        say("gift-made", credits=event.credits, link=link),
        say("gift-until", until=moment(say, event.expires_at, zone), zone=zone.key),
        say("credits-now", credits=event.available_credits),
    ]
    shared = say("gift-share", credits=event.credits)
    rows = ((share_button(say, link, shared),), (menu_button(say, fresh=True),))
    return Screen(text="\n".join(lines), buttons=rows)


def opening(say: Say) -> Screen:
    return Screen(text=say("gift-opening"))


def received(say: Say, event: GiftOpened) -> Screen:
    lines = [
        say("gift-received", credits=event.credits),
        say("credits-now", credits=event.available_credits),
    ]
    photo = Button(say("button-photo"), pack(OpenPage(callbacks.PHOTO, fresh=True)))
    return Screen(text="\n".join(lines), buttons=((photo,), (menu_button(say, fresh=True),)))


def taken(say: Say, event: GiftOpened) -> Screen:
    """To the giver; who opened it stays between the two of them."""
    text = say("gift-taken", credits=event.credits)
    return Screen(text=text, buttons=((menu_button(say, fresh=True),),))


def refused(say: Say, event: GiftRefused) -> Screen:
    text = "\n".join([say(_REASONS.get(event.reason, "gift-refused-other")), say("gift-kept")])
    return Screen(text=text, buttons=fresh_rows(say))


def returned(say: Say, event: GiftReturned) -> Screen:
    key = "gift-withdrawn" if event.withdrawn else "gift-returned"
    return Screen(text=say(key, credits=event.credits), buttons=fresh_rows(say))
