"""Reading: chats, members, profile photos and files."""

from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.errors import bad_request
from simulators.telegram.outgoing import target_chat
from simulators.telegram.params import Params

Json = dict[str, Any]

DOWNLOAD_BYTES_MAX = 20 * 1_024 * 1_024


async def get_chat(core: Core, params: Params) -> Json:
    chat = target_chat(core, params)
    return {
        **core.world.chat_wire(chat),
        "accent_color_id": chat.id % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": {
            "unlimited_gifts": True,
            "limited_gifts": True,
            "unique_gifts": True,
            "premium_subscription": True,
            "gifts_from_channels": True,
        },
    }


async def get_chat_member(core: Core, params: Params) -> Json:
    chat = target_chat(core, params)
    user_id = params.integer("user_id")
    if user_id == 0:
        raise bad_request("invalid user_id specified")
    if user_id == core.bot_id:
        user: Json | None = core.bot
    else:
        known = core.world.users.get(user_id)
        user = known.wire() if known else None
    if user is None or (chat.type == "private" and user_id not in {chat.id, core.bot_id}):
        raise bad_request("user not found")
    default = "left" if chat.type != "private" and user_id != core.bot_id else "member"
    return member_wire(user, chat.members.get(str(user_id), default))


def member_wire(user: Json, status: str) -> Json:
    member: Json = {"status": status, "user": user}
    if status == "kicked":
        member["until_date"] = 0
    if status == "creator":
        member["is_anonymous"] = False
    return member


async def get_user_profile_photos(core: Core, params: Params) -> Json:
    if params.integer("user_id") not in core.world.users:
        raise bad_request("user not found")
    return {"total_count": 0, "photos": []}


async def get_file(core: Core, params: Params) -> Json:
    if "file_id" not in params:
        raise bad_request("file_id not specified")
    stored = core.files.get(params.text("file_id"))
    if stored is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    if stored.size > DOWNLOAD_BYTES_MAX and not core.options.local:
        raise bad_request("file is too big")
    return {
        "file_id": stored.file_id,
        "file_unique_id": stored.unique_id,
        "file_size": stored.size,
        "file_path": stored.path,
    }
