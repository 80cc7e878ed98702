"""Puts a screen into the words of the Bot API."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.money import STARS_CURRENCY
from gateway.domain.screen import Button, Invoice, Screen

PHOTO = "photo"
VIDEO = "video"
DOCUMENT = "document"
PHOTO_BYTES_MAX = 10 * 1024 * 1024
PHOTO_SIDES_MAX = 10_000
PHOTO_RATIO_MAX = 20
METHODS = {PHOTO: "sendPhoto", VIDEO: "sendVideo", DOCUMENT: "sendDocument"}
NO_PREVIEW = {"is_disabled": True}


def shown_as(screen: Screen) -> str:
    """How the screen's file is shown: what Telegram refuses as a photo goes as a document."""
    media = screen.media
    assert media is not None
    if screen.document:
        return DOCUMENT
    if screen.video is not None:
        return VIDEO
    sides = (media.width, media.height)
    too_big = media.size_bytes > PHOTO_BYTES_MAX or sum(sides) > PHOTO_SIDES_MAX
    too_long = min(sides) > 0 and max(sides) > PHOTO_RATIO_MAX * min(sides)
    return DOCUMENT if too_big or too_long else PHOTO


def keyboard(screen: Screen) -> dict[str, Any] | None:
    if not screen.buttons:
        return None
    rows = [
        [
            {"text": button.text, "url": button.url}
            if button.url
            else {"text": button.text, "callback_data": button.data}
            for button in row
        ]
        for row in screen.buttons
    ]
    return {"inline_keyboard": rows}


def message(chat_id: int, screen: Screen) -> dict[str, Any]:
    """Return the body of sendMessage."""
    body = {
        "chat_id": chat_id,
        "text": screen.text,
        "parse_mode": screen.parse_mode,
        "link_preview_options": NO_PREVIEW,
    }
    return _with_keyboard(body, screen)


def invoice(chat_id: int, asked: Invoice) -> dict[str, Any]:
    """Return the body of sendInvoice: Telegram puts the pay button below it by itself."""
    return {"chat_id": chat_id, "start_parameter": asked.start_parameter, **_asked(asked)}


def invoice_link(asked: Invoice) -> dict[str, Any]:
    """Return the body of createInvoiceLink."""
    return {"subscription_period": asked.subscription_seconds, **_asked(asked)}


def _asked(asked: Invoice) -> dict[str, Any]:
    """One price in whole Stars, and no provider's token: what Telegram wants of a Stars invoice."""
    return {
        "title": asked.title,
        "description": asked.description,
        "payload": asked.payload,
        "provider_token": "",
        "currency": STARS_CURRENCY,
        "prices": [{"label": asked.title, "amount": asked.amount}],
    }


def with_link(screen: Screen, asked: Invoice, url: str) -> Screen:
    """The screen with a button that opens the invoice, above its own."""
    row = (Button(asked.button, url=url),)
    return msgspec.structs.replace(screen, invoice=None, buttons=(row, *screen.buttons))


def media_message(chat_id: int, screen: Screen, *, file: str = "") -> dict[str, Any]:
    """Return the body of sendPhoto and its kin; `file` is a file_id, empty for an upload."""
    shown = shown_as(screen)
    body: dict[str, Any] = {
        "chat_id": chat_id,
        "caption": screen.text,
        "parse_mode": screen.parse_mode,
    }
    if file:
        body[shown] = file
    if shown == VIDEO:
        body["supports_streaming"] = True
        assert screen.video is not None
        for name in ("width", "height"):
            if size := getattr(screen.video, name):
                body[name] = size
        if screen.video.duration_seconds:
            body["duration"] = max(1, round(screen.video.duration_seconds))
    return _with_keyboard(body, screen)


def edit(chat_id: int, message_id: int, screen: Screen, *, caption: bool) -> dict[str, Any]:
    """Return the body of editMessageText, or of editMessageCaption."""
    body: dict[str, Any] = {
        "chat_id": chat_id,
        "message_id": message_id,
        "parse_mode": screen.parse_mode,
    }
    if caption:
        body["caption"] = screen.text
    else:
        body |= {"text": screen.text, "link_preview_options": NO_PREVIEW}
    return _with_keyboard(body, screen)


def _with_keyboard(body: dict[str, Any], screen: Screen) -> dict[str, Any]:
    markup = keyboard(screen)
    if markup is not None:
        body["reply_markup"] = markup
    return body


def file_id_of(sent: dict[str, Any]) -> str:
    """Return the file_id in an answered message, whatever Telegram made of the upload."""
    if sizes := sent.get("photo"):
        return str(sizes[-1]["file_id"])
    for kind in ("video", "animation", "document"):
        if found := sent.get(kind):
            return str(found["file_id"])
    return ""
