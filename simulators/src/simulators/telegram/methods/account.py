"""The bot itself: identity, updates, webhook, commands and the menu button."""

import re
from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.errors import bad_request, conflict
from simulators.telegram.outgoing import target_chat
from simulators.telegram.params import Params
from simulators.telegram.webhook import Webhook

Json = dict[str, Any]

POLL_SECONDS_MAX = 50
SECRET_MAX = 256
CONNECTIONS_MAX = 100
LOCAL_CONNECTIONS_MAX = 100_000
COMMANDS_MAX = 100
SECRET = re.compile(r"[A-Za-z0-9_-]*")
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
SCOPES = {
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
}
WEBHOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; "
    "use deleteWebhook to delete the webhook first"
)


async def get_me(core: Core, _params: Params) -> Json:
    return {
        **core.bot,
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


async def log_out(_core: Core, _params: Params) -> bool:
    return True


async def close(_core: Core, _params: Params) -> bool:
    return True


async def get_updates(core: Core, params: Params) -> list[Json]:
    if core.webhooks.webhook is not None:
        raise conflict(WEBHOOK_ACTIVE)
    core.updates.allow(params.decoded("allowed_updates"))
    return await core.updates.poll(
        params.integer("offset"),
        params.integer("limit", 100),
        min(max(params.integer("timeout"), 0), POLL_SECONDS_MAX),
    )


async def set_webhook(core: Core, params: Params) -> bool:
    url = params.text("url").strip()
    if not url:
        return await delete_webhook(core, params)
    if not url.startswith(("http://", "https://")) or len(url) < len("http://a"):
        raise bad_request("invalid webhook URL specified")
    secret = params.text("secret_token")
    if len(secret) > SECRET_MAX:
        raise bad_request("secret token is too long")
    if not SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    limit = LOCAL_CONNECTIONS_MAX if core.options.local else CONNECTIONS_MAX
    webhook = Webhook(
        url=url,
        secret=secret,
        max_connections=min(max(params.integer("max_connections", 40), 1), limit),
        ip_address=params.text("ip_address") or None,
        has_certificate=params.upload("certificate") is not None,
    )
    core.updates.allow(params.decoded("allowed_updates"))
    if params.flag("drop_pending_updates"):
        core.updates.drop_all()
    core.updates.interrupt("terminated by setWebhook request")
    await core.set_webhook(webhook)
    return True


async def delete_webhook(core: Core, params: Params) -> bool:
    if params.flag("drop_pending_updates"):
        core.updates.drop_all()
    await core.set_webhook(None)
    return True


async def get_webhook_info(core: Core, _params: Params) -> Json:
    info: Json = {
        "url": "",
        "has_custom_certificate": False,
        "pending_update_count": len(core.updates.pending),
    }
    if core.updates.allowed:
        info["allowed_updates"] = core.updates.allowed
    if (webhook := core.webhooks.webhook) is None:
        return info
    info.update(
        url=webhook.url,
        has_custom_certificate=webhook.has_certificate,
        max_connections=webhook.max_connections,
    )
    for name in ("ip_address", "last_error_date", "last_error_message"):
        if (value := getattr(webhook, name)) is not None:
            info[name] = value
    return info


# --- commands and menu -----------------------------------------------------------------------


def _commands_key(params: Params) -> str:
    scope = params.decoded("scope", "BotCommandScope")
    if scope is None:
        scope = {"type": "default"}
    if not isinstance(scope, dict):
        raise bad_request("can't parse BotCommandScope: BotCommandScope must be an Object")
    if scope.get("type") not in SCOPES:
        raise bad_request("can't parse BotCommandScope: Unsupported type specified")
    where = [str(scope[name]) for name in ("type", "chat_id", "user_id") if scope.get(name)]
    return "/".join([*where, params.text("language_code")])


async def set_my_commands(core: Core, params: Params) -> bool:
    commands = params.decoded("commands", "commands")
    if not isinstance(commands, list):
        raise bad_request("expected an Array of BotCommand")
    if len(commands) > COMMANDS_MAX:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    checked = []
    for command in commands:
        if not isinstance(command, dict) or not {"command", "description"} <= command.keys():
            raise bad_request("can't parse BotCommand: expected an Object")
        name = str(command["command"]).removeprefix("/")
        if not COMMAND.fullmatch(name):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command["description"])) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        checked.append({"command": name, "description": str(command["description"])})
    core.commands[_commands_key(params)] = checked
    core.commands_changed()
    return True


async def get_my_commands(core: Core, params: Params) -> list[Json]:
    return core.commands.get(_commands_key(params), [])


async def delete_my_commands(core: Core, params: Params) -> bool:
    core.commands.pop(_commands_key(params), None)
    core.commands_changed()
    return True


async def set_chat_menu_button(core: Core, params: Params) -> bool:
    button = params.decoded("menu_button", "menu button")
    if button is not None:
        kind = button.get("type") if isinstance(button, dict) else None
        if kind not in {"default", "commands", "web_app"}:
            raise bad_request("can't parse menu button: MenuButton has unsupported type")
    if "chat_id" in params:
        chat = target_chat(core, params)
        chat.menu_button = button
        core.world.chat_changed(chat)
    return True
