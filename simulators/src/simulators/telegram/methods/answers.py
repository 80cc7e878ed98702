"""Answers to what people do, and the small signs: typing, reactions, drafts."""

from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.errors import bad_request
from simulators.telegram.formatting import TEXT_MAX, read_text
from simulators.telegram.html_markup import utf16_length
from simulators.telegram.outgoing import existing_message, writable_chat
from simulators.telegram.params import Params

Json = dict[str, Any]

CALLBACK_TEXT_MAX = 200
ACTION_SECONDS = 5
INLINE_RESULTS_MAX = 50
ACTIONS = {
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
    "cancel",
}
QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


async def answer_callback_query(core: Core, params: Params) -> bool:
    text = params.text("text")
    if utf16_length(text) > CALLBACK_TEXT_MAX:
        raise bad_request("MESSAGE_TOO_LONG")
    callback = core.callbacks.get(params.text("callback_query_id"))
    now = core.clock.now()
    if callback is None or callback.answered:
        raise bad_request(QUERY_TOO_OLD)
    if now - callback.asked_at > core.options.callback_seconds:
        raise bad_request(QUERY_TOO_OLD)
    callback.answered = True
    answer = {
        "text": text,
        "show_alert": params.flag("show_alert"),
        "url": params.text("url") or None,
    }
    message = core.world.messages.get(callback.chat_id, {}).get(callback.message_id)
    if message is not None:
        for entry in message.callbacks:
            if entry["id"] == callback.id:
                entry.update(answered_at=now, answer=answer)
        core.world.touch(message)
    core.world.announce(
        {
            "type": "callback_answer",
            "chat_id": callback.chat_id,
            "message_id": callback.message_id,
            "user_id": callback.user_id,
            "callback_query_id": callback.id,
            **answer,
        }
    )
    return True


async def answer_inline_query(core: Core, params: Params) -> bool:
    query = core.inline_queries.get(params.text("inline_query_id"))
    results = params.decoded("results", "inline query results")
    if not isinstance(results, list):
        raise bad_request("expected an Array of inline query results")
    if len(results) > INLINE_RESULTS_MAX:
        raise bad_request("too many inline query results specified")
    if query is None or query.get("results") is not None:
        raise bad_request(QUERY_TOO_OLD)
    query["results"] = results
    core.world.announce({"type": "inline_answer", "inline_query_id": query["id"]})
    return True


async def send_chat_action(core: Core, params: Params) -> bool:
    chat = writable_chat(core, params)
    action = params.text("action").lower()
    if action not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat.action = None if action == "cancel" else action
    chat.action_until = core.clock.now() + ACTION_SECONDS
    core.world.announce(
        {
            "type": "action",
            "chat_id": chat.id,
            "action": chat.action,
            "seconds": ACTION_SECONDS,
        }
    )
    return True


async def set_message_reaction(core: Core, params: Params) -> bool:
    message = existing_message(core, params, "message to react")
    reactions = params.decoded("reaction", "reaction types") or []
    if not isinstance(reactions, list):
        raise bad_request("expected an Array of ReactionType")
    for reaction in reactions:
        kind = reaction.get("type") if isinstance(reaction, dict) else None
        if kind not in {"emoji", "custom_emoji", "paid"}:
            raise bad_request("can't parse ReactionType: invalid reaction type specified")
        if kind == "emoji" and not reaction.get("emoji"):
            raise bad_request("REACTION_INVALID")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    message.reactions = reactions
    core.world.touch(message)
    return True


async def send_message_draft(core: Core, params: Params) -> bool:
    chat = writable_chat(core, params)
    if chat.type != "private":
        raise bad_request("drafts can be sent only to private chats")
    draft_id = params.integer("draft_id")
    if draft_id == 0:
        raise bad_request("RANDOM_ID_INVALID")
    text, entities = read_text(params, "text", TEXT_MAX, entities_name="entities")
    chat.draft = {
        "draft_id": draft_id,
        "text": text,
        "entities": entities,
        "can_stop": params.flag("can_stop"),
        "keep_on_stop": params.flag("keep_on_stop"),
        "until": core.clock.now() + core.options.draft_seconds,
    }
    core.world.announce({"type": "draft", "chat_id": chat.id, "draft": chat.draft})
    return True
