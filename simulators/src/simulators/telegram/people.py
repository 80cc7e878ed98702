"""What a person does in the chat; each act becomes a message and an update for the bot."""

import secrets
from typing import Any

from simulators.telegram.core import Callback, Core
from simulators.telegram.errors import ControlError
from simulators.telegram.formatting import automatic_entities
from simulators.telegram.media import media_content
from simulators.telegram.methods.chats import member_wire
from simulators.telegram.outgoing import shallow
from simulators.telegram.params import Upload
from simulators.telegram.pictures import PictureError
from simulators.telegram.world import Chat, User

Json = dict[str, Any]


def writer(core: Core, user_id: int, chat_id: int | None) -> tuple[User, Chat]:
    """The person and the chat they write in; a person comes to exist by writing."""
    user = core.world.users.get(user_id) or core.world.ensure_user(user_id)
    if chat_id is None or chat_id == user_id:
        if user.blocked:
            raise ControlError("this user has blocked the bot: unblock first", 409)
        if not user.started:
            core.world.ensure_user(user_id, started=True)
        return user, core.world.chats[user_id]
    chat = core.world.chats.get(chat_id)
    if chat is None:
        raise ControlError("no such chat", 404)
    if chat.members.get(str(user_id)) in {None, "left", "kicked"}:
        raise ControlError("this user is not a member of the chat", 409)
    return user, chat


def _post(core: Core, user: User, chat: Chat, content: Json, reply_to: int | None) -> Json:
    if reply_to is not None:
        replied = core.world.find(chat.id, reply_to)
        if replied is None:
            raise ControlError("no message to reply to", 404)
        content = {"reply_to_message": shallow(replied.wire), **content}
    message = core.world.add(chat, user.wire(), content)
    if chat.keyboard and chat.keyboard.get("one_time_keyboard"):
        chat.keyboard = None
        core.world.chat_changed(chat)
    update_id = core.updates.push("message", dict(message.wire), order_key=chat.id)
    return {"update_id": update_id, "message_id": message.message_id}


def say(
    core: Core,
    user_id: int,
    text: str,
    *,
    chat_id: int | None = None,
    reply_to: int | None = None,
) -> Json:
    user, chat = writer(core, user_id, chat_id)
    content: Json = {"text": text}
    if entities := automatic_entities(text):
        content["entities"] = entities
    return _post(core, user, chat, content, reply_to)


def edit(core: Core, user_id: int, message_id: int, text: str, chat_id: int | None) -> Json:
    _, chat = writer(core, user_id, chat_id)
    message = core.world.find(chat.id, message_id)
    if message is None or message.wire["from"]["id"] != user_id:
        raise ControlError("no such message of this user", 404)
    field = "text" if "text" in message.wire else "caption"
    message.wire = {**message.wire, field: text}
    core.world.edited(message)
    update_id = core.updates.push("edited_message", dict(message.wire), order_key=chat.id)
    return {"update_id": update_id, "message_id": message_id}


# --- files -----------------------------------------------------------------------------------


def kind_of(upload: Upload, *, as_document: bool) -> str:
    """What a client makes of a picked file."""
    if as_document:
        return "document"
    if upload.mime == "image/gif" or upload.data[:4] == b"GIF8":
        return "animation"
    if upload.mime.startswith("video/"):
        return "video"
    if upload.mime.startswith("audio/"):
        return "audio"
    return "photo"


async def upload_content(core: Core, upload: Upload, *, as_document: bool) -> tuple[str, Json]:
    kind = kind_of(upload, as_document=as_document)
    if kind == "photo":
        try:
            largest = (await core.files.add_photo(upload.data))[-1]
            return kind, media_content(core.files, largest)
        except PictureError:
            kind = "document"  # a client sends what it cannot show as a plain file
    stored = await core.files.add(kind, upload.data, name=upload.name, mime=upload.mime)
    return kind, media_content(core.files, stored)


async def send_files(
    core: Core,
    user_id: int,
    uploads: list[Upload],
    *,
    caption: str = "",
    as_document: bool = False,
    chat_id: int | None = None,
) -> list[Json]:
    """One file is a message; several are an album, the caption on the first."""
    user, chat = writer(core, user_id, chat_id)
    made = [await upload_content(core, upload, as_document=as_document) for upload in uploads]
    album = {"media_group_id": str(secrets.randbits(53))} if len(uploads) > 1 else {}
    results = []
    for number, (kind, content) in enumerate(made):
        extra: Json = {}
        if caption and number == 0:
            extra["caption"] = caption
            if entities := automatic_entities(caption):
                extra["caption_entities"] = entities
        result = _post(core, user, chat, {**album, **content, **extra}, None)
        results.append({**result, "kind": kind})
    return results


# --- buttons ---------------------------------------------------------------------------------


def press(core: Core, user_id: int, message_id: int, data: str, chat_id: int | None) -> Json:
    """Press a button. The data is not compared with the keyboard: forgers do not either."""
    user, chat = writer(core, user_id, chat_id)
    message = core.world.messages.get(chat.id, {}).get(message_id)
    if message is None:
        raise ControlError("no such message", 404)
    query_id = core.next_query_id()
    now = core.clock.now()
    core.callbacks[query_id] = Callback(query_id, user_id, data, chat.id, message_id, now)
    message.callbacks.append(
        {"id": query_id, "user_id": user_id, "data": data, "asked_at": now, "answer": None}
    )
    core.world.touch(message)
    shown = dict(message.wire)
    if message.deleted:
        shown = {"chat": message.wire["chat"], "message_id": message_id, "date": 0}
    query = {
        "id": query_id,
        "from": user.wire(),
        "message": shown,
        "chat_instance": str(abs(hash((core.bot_id, chat.id)))),
        "data": data,
    }
    update_id = core.updates.push("callback_query", query, order_key=chat.id)
    return {"update_id": update_id, "message_id": message_id, "callback_query_id": query_id}


def ask_inline(core: Core, user_id: int, text: str) -> Json:
    user, _ = writer(core, user_id, None)
    query_id = core.next_query_id()
    query = {"id": query_id, "from": user.wire(), "query": text, "offset": ""}
    core.inline_queries[query_id] = {**query, "results": None}
    update_id = core.updates.push("inline_query", query, order_key=user_id)
    return {"update_id": update_id, "inline_query_id": query_id}


def react(core: Core, user_id: int, message_id: int, emoji: str | None) -> Json:
    user, chat = writer(core, user_id, None)
    message = core.world.find(chat.id, message_id)
    if message is None:
        raise ControlError("no such message", 404)
    reaction = {
        "chat": core.world.chat_wire(chat),
        "message_id": message_id,
        "user": user.wire(),
        "date": int(core.clock.now()),
        "old_reaction": [],
        "new_reaction": [{"type": "emoji", "emoji": emoji}] if emoji else [],
    }
    update_id = core.updates.push("message_reaction", reaction, order_key=chat.id)
    return {"update_id": update_id, "message_id": message_id}


def stop_draft(core: Core, user_id: int) -> Json:
    user, chat = writer(core, user_id, None)
    if chat.draft is None or not chat.draft["can_stop"]:
        raise ControlError("there is no draft to stop", 409)
    stopped = {"chat": core.world.chat_wire(chat), "draft_id": chat.draft["draft_id"]}
    if not chat.draft["keep_on_stop"]:
        chat.draft = None
    core.world.chat_changed(chat)
    update_id = core.updates.push("stopped_message_generation", stopped, order_key=user.id)
    return {"update_id": update_id}


# --- membership ------------------------------------------------------------------------------


def set_blocked(core: Core, user_id: int, *, blocked: bool) -> Json:
    user = core.world.users.get(user_id) or core.world.ensure_user(user_id)
    if user.blocked == blocked:
        return {"update_id": None}
    core.world.ensure_user(user_id, blocked=blocked)
    chat = core.world.chats[user_id]
    old, new = ("member", "kicked") if blocked else ("kicked", "member")
    update_id = _member_update(core, "my_chat_member", chat, user.wire(), core.bot, (old, new))
    return {"update_id": update_id}


def set_member(core: Core, chat: Chat, member_id: int, status: str, actor: User) -> Json:
    """A person or the bot joins, leaves or is promoted in a group."""
    old = chat.members.get(str(member_id), "left")
    chat.members[str(member_id)] = status
    core.world.chat_changed(chat)
    if member_id == core.bot_id:
        kind, member = "my_chat_member", core.bot
    else:
        kind, member = "chat_member", core.world.ensure_user(member_id).wire()
    update_id = _member_update(core, kind, chat, actor.wire(), member, (old, status))
    return {"update_id": update_id}


def _member_update(
    core: Core, kind: str, chat: Chat, actor: Json, member: Json, change: tuple[str, str]
) -> int | None:
    old, new = change
    payload = {
        "chat": core.world.chat_wire(chat),
        "from": actor,
        "date": int(core.clock.now()),
        "old_chat_member": member_wire(member, old),
        "new_chat_member": member_wire(member, new),
    }
    return core.updates.push(kind, payload, order_key=chat.id)
