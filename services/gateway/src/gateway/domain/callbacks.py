"""The data behind each button: versioned, at most 64 bytes, re-checked when it comes back.

A button outlives every release: data of an older or unknown shape parses to None, and the person
is told that the button is out of date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from contracts.ids import MediaId, OrderId
from contracts.money import CREDITS_MAX, Credits
from gateway.domain import access_buttons, purchase_buttons
from gateway.domain.access_buttons import AccessTap
from gateway.domain.packed_ids import pack_id, unpack_id
from gateway.domain.purchase_buttons import Purchase

BYTES_MAX = 64
_VERSION = "1"
_FRESH = "+"

HOME = "home"
BALANCE = "balance"
ORDERS = "orders"
HELP = "help"
LANGUAGE = "language"
PHOTO = "photo"
DRAW = "draw"
PROMO = "promo"
GIFT = "gift"
GIFT_OWN = "gift_own"
"""Type an amount of one's own."""
INVITE = "invite"
TOP_UP = "topup"
VIP = "vip"
VPN = "vpn"
VPN_PLANS = "vpn_plans"
ZONE = "zone"
PAGES = frozenset(
    {
        *(HOME, BALANCE, ORDERS, HELP, LANGUAGE, ZONE, PHOTO),
        *(DRAW, PROMO, GIFT, GIFT_OWN, INVITE, TOP_UP, VIP, VPN, VPN_PLANS),
    }
)


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page of the main menu; a `fresh` one is a new message, so the tapped one stays readable."""

    page: str
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class ChooseWorkflow:
    """Ask the price of one workflow for one photo; also the "once more" button of a result."""

    media_id: MediaId
    workflow_id: str


@dataclass(frozen=True, slots=True)
class ConfirmOrder:
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class DismissOrder:
    """Close a price screen that was not confirmed."""

    order_id: OrderId


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Stop an order that was placed."""

    order_id: OrderId


@dataclass(frozen=True, slots=True)
class SendAsFile:
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class OpenHistory:
    """One page of history; `cursor` is billing's, empty for the newest page."""

    cursor: str = ""


@dataclass(frozen=True, slots=True)
class SetLanguage:
    language: str


@dataclass(frozen=True, slots=True)
class DrawNow:
    """Draw on the day the button was shown for: on another day it draws nothing."""

    day: date


@dataclass(frozen=True, slots=True)
class CheckDraw:
    """Show what it takes to check one day's draw."""

    day: date


@dataclass(frozen=True, slots=True)
class ChooseGift:
    """Ask whether a gift of so many credits is really meant."""

    credits: Credits


@dataclass(frozen=True, slots=True)
class ConfirmGift:
    """One screen is at most one gift: its id was made with the screen."""

    gift_id: UUID
    credits: Credits


Callback = (
    OpenPage
    | ChooseWorkflow
    | ConfirmOrder
    | DismissOrder
    | CancelOrder
    | SendAsFile
    | OpenHistory
    | SetLanguage
    | DrawNow
    | CheckDraw
    | ChooseGift
    | ConfirmGift
    | Purchase
    | AccessTap
)
_BY_ORDER: dict[str, type[ConfirmOrder | DismissOrder | CancelOrder | SendAsFile]] = {
    "c": ConfirmOrder,
    "n": DismissOrder,
    "x": CancelOrder,
    "f": SendAsFile,
}
_ORDER_PREFIX = {kind: prefix for prefix, kind in _BY_ORDER.items()}


def pack(callback: Callback) -> str:
    """The button's data. Raises ValueError when it would not fit into Telegram's 64 bytes."""
    if isinstance(callback, OpenPage):
        parts = ("m", f"{callback.page}{_FRESH if callback.fresh else ''}")
    elif isinstance(callback, OpenHistory):
        parts = ("h", callback.cursor)
    elif isinstance(callback, SetLanguage):
        parts = ("l", callback.language)
    elif isinstance(callback, ChooseWorkflow):
        parts = ("w", f"{pack_id(callback.media_id)}:{callback.workflow_id}")
    elif isinstance(callback, DrawNow | CheckDraw):
        parts = ("dn" if isinstance(callback, DrawNow) else "dc", callback.day.isoformat())
    elif isinstance(callback, ChooseGift):
        parts = ("ga", str(callback.credits))
    elif isinstance(callback, ConfirmGift):
        parts = ("gm", f"{pack_id(callback.gift_id)}:{callback.credits}")
    elif isinstance(callback, Purchase):
        parts = purchase_buttons.parts(callback)
    elif isinstance(callback, AccessTap):
        parts = access_buttons.parts(callback)
    else:
        parts = (_ORDER_PREFIX[type(callback)], pack_id(callback.order_id))
    data = f"{parts[0]}:{_VERSION}:{parts[1]}"
    if len(data.encode()) > BYTES_MAX:
        raise ValueError(f"callback data of {len(data.encode())} bytes: {parts[0]}")
    return data


def parse(data: str) -> Callback | None:
    """What a tap means, or None for data that is old, cut or forged."""
    prefix, version, rest = (*data.split(":", 2), "", "")[:3]
    if version != _VERSION:
        return None
    if prefix == "m":
        page = rest.removesuffix(_FRESH)
        return OpenPage(page, fresh=page != rest) if page in PAGES else None
    if prefix == "h":
        return OpenHistory(rest)
    if prefix == "l":
        return SetLanguage(rest)
    if prefix == "w":
        return _parse_choice(rest)
    if prefix in {"dn", "dc"}:
        day = _parse_day(rest)
        return None if day is None else DrawNow(day) if prefix == "dn" else CheckDraw(day)
    if prefix == "ga":
        given = parse_credits(rest)
        return ChooseGift(given) if given is not None else None
    if prefix == "gm":
        return _parse_gift(rest)
    kind = _BY_ORDER.get(prefix)
    if kind is None:
        return purchase_buttons.read(prefix, rest) or access_buttons.read(prefix, rest)
    order_id = unpack_id(rest)
    return kind(OrderId(order_id)) if order_id is not None else None


def _parse_choice(rest: str) -> ChooseWorkflow | None:
    packed, _, workflow_id = rest.partition(":")
    media_id = unpack_id(packed)
    if media_id is None or not workflow_id:
        return None
    return ChooseWorkflow(MediaId(media_id), workflow_id)


def _parse_day(rest: str) -> date | None:
    """None unless it is a day as `isoformat` writes it."""
    try:
        day = date.fromisoformat(rest)
    except ValueError:
        return None
    return day if day.isoformat() == rest else None


def _parse_gift(rest: str) -> ConfirmGift | None:
    packed, _, amount = rest.partition(":")
    gift_id, given = unpack_id(packed), parse_credits(amount)
    return ConfirmGift(gift_id, given) if gift_id is not None and given is not None else None


def parse_credits(text: str) -> Credits | None:
    """A positive whole number of credits, written as computers write it; else None."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(CREDITS_MAX)):
        return None
    amount = int(text)
    return Credits(amount) if 0 < amount <= CREDITS_MAX and str(amount) == text else None
