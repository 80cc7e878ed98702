"""The shape of one message on a screen: text, buttons, at most one picture, video or file."""

from __future__ import annotations

from typing import Protocol

import msgspec

from contracts.media import MediaRef

TEXT_MAX = 4096
CAPTION_MAX = 1024
TOAST_MAX = 200
"""Telegram's limits, in UTF-16 units (facts/telegram.md A4)."""


class Say(Protocol):
    """Puts a text key and its values into one person's language."""

    def __call__(self, key: str, /, **values: object) -> str: ...


class Button(msgspec.Struct, frozen=True, omit_defaults=True):
    """One inline button: `data` is packed callback data (at most 64 bytes), or `url`."""

    text: str
    data: str = ""
    url: str = ""


class Invoice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What Telegram itself asks the person to pay, in Stars."""

    title: str
    """At most 32 UTF-16 units; the description at most 255, the payload 1-128 bytes."""
    description: str
    payload: str
    amount: int
    start_parameter: str
    """Not empty, so that a forwarded copy opens the bot instead of being paid by a stranger."""
    subscription_seconds: int = 0
    """Above 0: renewed by Telegram. Only a link can do that, so it becomes a button."""
    button: str = ""
    """The words on that button."""


class Screen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one message shows. With a photo or a video the text is its caption."""

    text: str
    buttons: tuple[tuple[Button, ...], ...] = ()
    photo: MediaRef | None = None
    video: MediaRef | None = None
    document: bool = False
    """Send the photo or video as a file, so that Telegram does not recompress it."""
    invoice: Invoice | None = None
    """The message is an invoice, or, with a subscription, carries a button that opens it."""
    parse_mode: str = "HTML"

    @property
    def media(self) -> MediaRef | None:
        return self.photo or self.video
