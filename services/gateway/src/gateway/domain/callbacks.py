"""The data behind each button: versioned, at most 64 bytes, re-checked when it comes back.

A button outlives every release: data of an older or unknown shape parses to None, and the person
is told that the button is out of date.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from uuid import UUID

BYTES_MAX = 64
_VERSION = "1"
_ID_LENGTH = 22
_FRESH = "+"

HOME = "home"
BALANCE = "balance"
ORDERS = "orders"
HELP = "help"
LANGUAGE = "language"
PHOTO = "photo"
PAGES = frozenset({HOME, BALANCE, ORDERS, HELP, LANGUAGE, PHOTO})


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page of the main menu; a `fresh` one is a new message, so the tapped one stays readable."""

    page: str
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class ChooseWorkflow:
    """Ask the price of one workflow for one photo; also the "once more" button of a result."""

    media_id: UUID
    workflow_id: str


@dataclass(frozen=True, slots=True)
class ConfirmOrder:
    order_id: UUID


@dataclass(frozen=True, slots=True)
class DismissOrder:
    """Close a price screen that was not confirmed."""

    order_id: UUID


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Stop an order that was placed."""

    order_id: UUID


@dataclass(frozen=True, slots=True)
class SendAsFile:
    order_id: UUID


@dataclass(frozen=True, slots=True)
class OpenHistory:
    """One page of history; `cursor` is billing's, empty for the newest page."""

    cursor: str = ""


@dataclass(frozen=True, slots=True)
class SetLanguage:
    language: str


Callback = (
    OpenPage
    | ChooseWorkflow
    | ConfirmOrder
    | DismissOrder
    | CancelOrder
    | SendAsFile
    | OpenHistory
    | SetLanguage
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
    kind = _BY_ORDER.get(prefix)
    order_id = unpack_id(rest)
    return kind(order_id) if kind is not None and order_id is not None else None


def _parse_choice(rest: str) -> ChooseWorkflow | None:
    packed, _, workflow_id = rest.partition(":")
    media_id = unpack_id(packed)
    return ChooseWorkflow(media_id, workflow_id) if media_id and workflow_id else None


def pack_id(value: UUID) -> str:
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def unpack_id(packed: str) -> UUID | None:
    """None unless it is exactly what `pack_id` writes."""
    if len(packed) != _ID_LENGTH or not packed.isascii():
        return None
    try:
        value = UUID(bytes=base64.urlsafe_b64decode(f"{packed}=="))
    except (binascii.Error, ValueError):
        return None
    return value if pack_id(value) == packed else None
