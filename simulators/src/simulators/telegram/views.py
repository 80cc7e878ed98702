"""How the control API and the page see chats and messages."""

from dataclasses import asdict
from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.world import Chat, Message, User

Json = dict[str, Any]

FILE_KINDS = ("animation", "photo", "video", "document", "audio", "voice", "sticker")
SERVICE_FIELDS = ("invoice", "successful_payment", "refunded_payment")


def message_view(core: Core, message: Message, base: str) -> Json:
    wire = message.wire
    markup = wire.get("reply_markup") or {}
    view: Json = {
        "message_id": message.message_id,
        "chat_id": message.chat_id,
        "from": message.sender,
        "user": wire["from"],
        "date": message.created_at,
        "text": wire.get("text"),
        "caption": wire.get("caption"),
        "entities": wire.get("entities") or wire.get("caption_entities") or [],
        "edit_count": message.edit_count,
        "edited_at": message.edited_at,
        "buttons": markup.get("inline_keyboard", []),
        "media": media_view(core, wire, base),
        "media_group_id": wire.get("media_group_id"),
        "reply_to": (wire.get("reply_to_message") or {}).get("message_id"),
        "callbacks": message.callbacks,
        "reactions": message.reactions,
        "deleted": message.deleted,
        "seq": message.seq,
        "raw": wire,
    }
    for name in SERVICE_FIELDS:
        if name in wire:
            view[name] = wire[name]
    return view


def media_view(core: Core, wire: Json, base: str) -> Json | None:
    for kind in FILE_KINDS:
        if kind not in wire:
            continue
        shown = wire[kind][-1] if kind == "photo" else wire[kind]
        stored = core.files.get(shown["file_id"])
        path = f"/control/files/{shown['file_id']}"
        view: Json = {"kind": kind, "url": base + path, "path": path, **shown}
        if stored is not None:
            view.update(size=stored.size, mime_type=stored.mime, name=stored.name)
        if "thumbnail" in shown:
            view["thumbnail_path"] = f"/control/files/{shown['thumbnail']['file_id']}"
        return view
    return None


def chat_view(core: Core, chat: Chat, base: str) -> Json:
    now = core.clock.now()
    draft = chat.draft
    if draft is not None and draft["until"] < now:
        draft = None
    last = core.world.last(chat.id)
    return {
        **core.world.chat_wire(chat),
        "members": chat.members,
        "keyboard": chat.keyboard,
        "menu_button": chat.menu_button,
        "draft": draft,
        "action": chat.action if chat.action_until > now else None,
        "last_message": message_view(core, last, base) if last else None,
    }


def user_view(core: Core, user: User, base: str) -> Json:
    chat = core.world.chats[user.id]
    return {**asdict(user), "chat": chat_view(core, chat, base)}


def messages_view(
    core: Core, chat_id: int, base: str, *, after: int, changed_after: int | None
) -> list[Json]:
    """Messages newer than `after`; with `changed_after`, those changed since, deleted ones too."""
    found = []
    for message in core.world.history(chat_id):
        if message.message_id <= after:
            continue
        if not message.deleted if changed_after is None else message.seq > changed_after:
            found.append(message_view(core, message, base))
    return found
