"""Sending: text, media, albums, copies and forwards."""

import secrets
from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.errors import bad_request
from simulators.telegram.formatting import CAPTION_MAX, TEXT_MAX, read_text
from simulators.telegram.keyboards import read_markup
from simulators.telegram.media import (
    ALBUM_KINDS,
    caption_content,
    media_content,
    read_input_media,
    read_media,
)
from simulators.telegram.outgoing import existing_message, send, target_chat, writable_chat
from simulators.telegram.params import Params
from simulators.telegram.world import Message

Json = dict[str, Any]

ALBUM_MIN, ALBUM_MAX = 2, 10
# What belongs to one place and is not taken along by a copy or a forward.
NOT_COPIED = {
    "message_id",
    "from",
    "chat",
    "date",
    "edit_date",
    "reply_to_message",
    "reply_markup",
    "media_group_id",
    "forward_origin",
    "has_protected_content",
    "effect_id",
}
SERVICE_FIELDS = {"successful_payment", "refunded_payment", "new_chat_members", "left_chat_member"}
SINGLE_GROUPS = {"document", "audio"}


async def send_message(core: Core, params: Params) -> Json:
    writable_chat(core, params)
    text, entities = read_text(params, "text", TEXT_MAX, entities_name="entities")
    if not text:
        raise bad_request("message text is empty")
    content: Json = {"text": text}
    if entities:
        content["entities"] = entities
    return dict(send(core, params, content).wire)


async def _send_media(core: Core, params: Params, kind: str) -> Json:
    writable_chat(core, params)
    caption = {} if kind == "sticker" else caption_content(params)
    read_markup(params)  # a wrong keyboard is refused before the file is taken
    stored = await read_media(core, params, kind)
    return dict(send(core, params, {**media_content(core.files, stored), **caption}).wire)


async def send_photo(core: Core, params: Params) -> Json:
    return await _send_media(core, params, "photo")


async def send_video(core: Core, params: Params) -> Json:
    return await _send_media(core, params, "video")


async def send_document(core: Core, params: Params) -> Json:
    return await _send_media(core, params, "document")


async def send_animation(core: Core, params: Params) -> Json:
    return await _send_media(core, params, "animation")


async def send_audio(core: Core, params: Params) -> Json:
    return await _send_media(core, params, "audio")


async def send_voice(core: Core, params: Params) -> Json:
    return await _send_media(core, params, "voice")


async def send_sticker(core: Core, params: Params) -> Json:
    return await _send_media(core, params, "sticker")


async def send_media_group(core: Core, params: Params) -> list[Json]:
    writable_chat(core, params)
    items = params.decoded("media", "media")
    if not isinstance(items, list):
        raise bad_request("expected an Array of InputMedia")
    if not ALBUM_MIN <= len(items) <= ALBUM_MAX:
        few = len(items) < ALBUM_MIN
        raise bad_request(f"too {'few' if few else 'many'} messages to send as an album")
    kinds = {str(item.get("type")) for item in items if isinstance(item, dict)}
    if kinds & SINGLE_GROUPS and len(kinds) > 1:
        raise bad_request("can't use the media of the specified type in the album")
    contents = [await read_input_media(core, params, item, ALBUM_KINDS) for item in items]
    album = secrets.randbits(53)
    plain = Params({name: params.values[name] for name in params.values if name != "reply_markup"})
    sent = [send(core, plain, {"media_group_id": str(album), **content}) for content in contents]
    return [dict(message.wire) for message in sent]


def _source(core: Core, params: Params, what: str) -> Message:
    origin = Params({"chat_id": params.text("from_chat_id"), **_message_id(params)})
    if not origin.text("chat_id"):
        raise bad_request("chat_id is empty")
    message = existing_message(core, origin, f"message to {what}")
    if SERVICE_FIELDS & message.wire.keys() or (what == "copy" and message.invoice_id):
        raise bad_request(f"message can't be {'copied' if what == 'copy' else 'forwarded'}")
    return message


def _message_id(params: Params) -> Json:
    return {"message_id": params.values.get("message_id")}


async def copy_message(core: Core, params: Params) -> Json:
    writable_chat(core, params)
    source = _source(core, params, "copy")
    content = {name: value for name, value in source.wire.items() if name not in NOT_COPIED}
    if "caption" in params.values and "text" not in content:
        text, entities = read_text(params, "caption", CAPTION_MAX, entities_name="caption_entities")
        content.pop("caption_entities", None)
        content["caption"] = text
        if entities:
            content["caption_entities"] = entities
    return {"message_id": send(core, params, content).message_id}


async def forward_message(core: Core, params: Params) -> Json:
    chat = writable_chat(core, params)
    source = _source(core, params, "forward")
    content = {name: value for name, value in source.wire.items() if name not in NOT_COPIED}
    content["forward_origin"] = source.wire.get("forward_origin") or {
        "type": "user",
        "date": source.wire["date"],
        "sender_user": source.wire["from"],
    }
    message = core.world.add(chat, core.bot, content)
    message.invoice_id = source.invoice_id
    return dict(message.wire)


async def delete_message(core: Core, params: Params) -> bool:
    core.world.delete(existing_message(core, params, "message to delete"))
    return True


async def delete_messages(core: Core, params: Params) -> bool:
    """Ids that do not exist are skipped, as the real server does."""
    chat = target_chat(core, params)
    ids = params.decoded("message_ids", "message_ids")
    if not isinstance(ids, list):
        raise bad_request("expected an Array of message identifiers")
    if not ids:
        raise bad_request("message identifiers are not specified")
    if len(ids) > 100:
        raise bad_request("too many message identifiers specified")
    for message_id in ids:
        if message := core.world.find(chat.id, int(message_id)):
            core.world.delete(message)
    return True
