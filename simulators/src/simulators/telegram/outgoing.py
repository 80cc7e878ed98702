"""The part every send method shares: may the bot write there, and how the message is made."""

from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.errors import bad_request, forbidden
from simulators.telegram.keyboards import read_markup
from simulators.telegram.params import Params
from simulators.telegram.world import Chat, Message

Json = dict[str, Any]


def target_chat(core: Core, params: Params, name: str = "chat_id") -> Chat:
    value = params.text(name).strip()
    if not value:
        raise bad_request(f"{name} is empty")
    if value.startswith("@"):
        return core.world.chat_by_username(value[1:])
    try:
        return core.world.chat(int(value))
    except ValueError:
        raise bad_request("chat not found") from None


def writable_chat(core: Core, params: Params) -> Chat:
    chat = target_chat(core, params)
    if chat.type == "private":
        user = core.world.users[chat.id]
        if user.blocked:
            raise forbidden("bot was blocked by the user")
        if not user.started:
            raise forbidden("bot can't initiate conversation with a user")
    elif chat.members.get(str(core.bot_id), "member") in {"left", "kicked"}:
        if chat.members[str(core.bot_id)] == "kicked":
            raise forbidden(f"bot was kicked from the {chat.type} chat")
        raise forbidden(f"bot is not a member of the {chat.type} chat")
    return chat


def existing_message(core: Core, params: Params, what: str) -> Message:
    """The message named by chat_id and message_id, or `<what> not found`."""
    chat = target_chat(core, params)
    if "message_id" not in params:
        raise bad_request("message identifier is not specified")
    message = core.world.find(chat.id, params.integer("message_id"))
    if message is None:
        raise bad_request(f"{what} not found")
    return message


def send(core: Core, params: Params, content: Json, *, invoice_id: str | None = None) -> Message:
    chat = writable_chat(core, params)
    markup = read_markup(params, inline_only=invoice_id is not None)
    content = {**_reply(core, params, chat), **content, **_decorations(params)}
    if markup and "inline_keyboard" in markup:
        content["reply_markup"] = markup
    elif invoice_id is not None:
        content["reply_markup"] = _pay_button(content["invoice"])
    elif markup is not None:
        chat.keyboard = None if markup.get("remove_keyboard") else markup
        core.world.chat_changed(chat)
    message = core.world.add(chat, core.bot, content)
    message.invoice_id = invoice_id
    return message


def _pay_button(invoice: Json) -> Json:
    amount = f"{invoice['total_amount']} {invoice['currency']}"
    if invoice["currency"] == "XTR":
        amount = f"⭐️{invoice['total_amount']}"
    return {"inline_keyboard": [[{"text": f"Pay {amount}", "pay": True}]]}


def _decorations(params: Params) -> Json:
    extra: Json = {}
    if params.flag("protect_content"):
        extra["has_protected_content"] = True
    if effect := params.text("message_effect_id"):
        extra["effect_id"] = effect
    if isinstance(options := params.decoded("link_preview_options"), dict):
        extra["link_preview_options"] = options
    return extra


def _reply(core: Core, params: Params, chat: Chat) -> Json:
    parameters = params.decoded("reply_parameters", "reply parameters")
    if parameters is None:
        if "reply_to_message_id" not in params:
            return {}
        parameters = {
            "message_id": params.integer("reply_to_message_id"),
            "allow_sending_without_reply": params.flag("allow_sending_without_reply"),
        }
    if not isinstance(parameters, dict):
        raise bad_request("object expected as reply parameters")
    message = core.world.find(chat.id, int(parameters.get("message_id") or 0))
    if message is None:
        if parameters.get("allow_sending_without_reply"):
            return {}
        raise bad_request("message to be replied not found")
    return {"reply_to_message": shallow(message.wire)}


def shallow(wire: Json) -> Json:
    """A message inside another one does not carry its own reply."""
    return {name: value for name, value in wire.items() if name != "reply_to_message"}
