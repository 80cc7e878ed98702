"""Editing what the bot has sent."""

from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.errors import bad_request
from simulators.telegram.formatting import TEXT_MAX, read_text
from simulators.telegram.keyboards import read_markup
from simulators.telegram.media import MEDIA_KINDS, caption_content, read_input_media
from simulators.telegram.outgoing import existing_message
from simulators.telegram.params import Params
from simulators.telegram.world import Message

Json = dict[str, Any]

MEDIA_FIELDS = {"photo", "video", "document", "animation", "audio", "voice", "sticker"}
CAPTION_FIELDS = {"caption", "caption_entities", "show_caption_above_media"}
TEXT_FIELDS = {"text", "entities", "link_preview_options"}
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly "
    "the same as a current content and reply markup of the message"
)


def _editable(core: Core, params: Params) -> Message:
    if "inline_message_id" in params:
        raise bad_request("MESSAGE_ID_INVALID")
    message = existing_message(core, params, "message to edit")
    if message.sender != "bot" or "forward_origin" in message.wire:
        raise bad_request("message can't be edited")
    return message


def _apply(core: Core, params: Params, message: Message, replaced: set[str], content: Json) -> Json:
    """Replace those fields of the message; an absent reply_markup takes the keyboard away."""
    markup = read_markup(params, inline_only=True)
    if markup is not None:
        content = {**content, "reply_markup": markup}
    replaced = replaced | {"reply_markup"}
    current = {name: value for name, value in message.wire.items() if name in replaced}
    if current == content:
        raise bad_request(NOT_MODIFIED)
    kept = {name: value for name, value in message.wire.items() if name not in replaced}
    message.wire = {**kept, **content}
    core.world.edited(message)
    return dict(message.wire)


async def edit_message_text(core: Core, params: Params) -> Json:
    message = _editable(core, params)
    if "text" not in message.wire:
        raise bad_request("there is no text in the message to edit")
    text, entities = read_text(params, "text", TEXT_MAX, entities_name="entities")
    if not text:
        raise bad_request("message text is empty")
    content: Json = {"text": text}
    if entities:
        content["entities"] = entities
    if isinstance(options := params.decoded("link_preview_options"), dict):
        content["link_preview_options"] = options
    return _apply(core, params, message, TEXT_FIELDS, content)


async def edit_message_caption(core: Core, params: Params) -> Json:
    message = _editable(core, params)
    if not MEDIA_FIELDS - {"sticker"} & message.wire.keys():
        raise bad_request("there is no caption in the message to edit")
    content = caption_content(params)
    content.pop("has_media_spoiler", None)
    return _apply(core, params, message, CAPTION_FIELDS, content)


async def edit_message_media(core: Core, params: Params) -> Json:
    message = _editable(core, params)
    if not (MEDIA_FIELDS | {"text"}) & message.wire.keys():
        raise bad_request("message can't be edited")
    item = params.decoded("media", "input media")
    if item is None:
        raise bad_request("can't parse input media JSON object")
    content = await read_input_media(core, params, item, MEDIA_KINDS)
    replaced = MEDIA_FIELDS | CAPTION_FIELDS | TEXT_FIELDS | {"has_media_spoiler"}
    return _apply(core, params, message, replaced, content)


async def edit_message_reply_markup(core: Core, params: Params) -> Json:
    return _apply(core, params, _editable(core, params), set(), {})
