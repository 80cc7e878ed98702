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


class Screen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one message shows. With a photo or a video the text is its caption."""

    text: str
    buttons: tuple[tuple[Button, ...], ...] = ()
    photo: MediaRef | None = None
    video: MediaRef | None = None
    document: bool = False
    """Send the photo or video as a file, so that Telegram does not recompress it."""
    parse_mode: str = "HTML"

    @property
    def media(self) -> MediaRef | None:
        return self.photo or self.video
