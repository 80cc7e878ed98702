"""Checks reply markup as strictly as the real server does."""

from typing import Any

from simulators.telegram.errors import ApiError, bad_request
from simulators.telegram.params import Params

CALLBACK_DATA_BYTES_MAX = 64
BUTTONS_MAX = 100
ACTIONS = (
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "callback_game",
    "pay",
    "disabled",
)
STYLES = {"danger", "success", "primary"}
URL_SCHEMES = ("http://", "https://", "tg://", "ton://")
REPLY_KINDS = ("keyboard", "remove_keyboard", "force_reply")

Markup = dict[str, Any]


def read_markup(params: Params, *, inline_only: bool = False) -> Markup | None:
    markup = params.decoded("reply_markup", "reply keyboard markup")
    if markup is None:
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" in markup:
        return _inline(markup["inline_keyboard"])
    if inline_only and any(kind in markup for kind in REPLY_KINDS):
        raise bad_request("inline keyboard expected")
    if "keyboard" in markup:
        return _reply(markup)
    if markup.get("remove_keyboard") or markup.get("force_reply"):
        return markup
    return None


def _inline(rows: Any) -> Markup | None:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "inline_keyboard" must be an Array of Arrays')
    checked = [[_inline_button(button) for button in row] for row in rows if row]
    if sum(len(row) for row in checked) > BUTTONS_MAX:
        raise bad_request("reply markup is too long")
    for row_number, row in enumerate(checked):
        for column, button in enumerate(row):
            if button.get("pay") and (row_number, column) != (0, 0):
                raise bad_request("BUTTON_TYPE_INVALID")
    return {"inline_keyboard": checked} if checked else None


def _button_error(reason: str) -> ApiError:
    return bad_request(f"can't parse inline keyboard button: {reason}")


def _inline_button(button: Any) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise _button_error("InlineKeyboardButton must be an Object")
    text = button.get("text")
    if text is None:
        raise _button_error('Can\'t find field "text"')
    if not isinstance(text, str):
        raise _button_error('Field "text" must be of type String')
    if not text.strip():
        raise bad_request("inline keyboard button text must be non-empty")
    actions = [name for name in ACTIONS if button.get(name) not in (None, False)]
    if not actions:
        raise _button_error("Text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise bad_request("BUTTON_TYPE_INVALID")
    if (style := button.get("style")) and style not in STYLES:
        raise _button_error("Invalid button style specified")
    _check_action(button, actions[0])
    return {name: value for name, value in button.items() if value is not None}


def _check_action(button: dict[str, Any], action: str) -> None:
    value = button[action]
    if action == "callback_data":
        if not isinstance(value, str):
            raise _button_error('Field "callback_data" must be of type String')
        if not 1 <= len(value.encode()) <= CALLBACK_DATA_BYTES_MAX:
            raise bad_request("BUTTON_DATA_INVALID")
    elif action == "url":
        plain_domain = isinstance(value, str) and "." in value and "://" not in value
        if not (plain_domain or str(value).lower().startswith(URL_SCHEMES)) or " " in str(value):
            raise bad_request(f"inline keyboard button URL '{value}' is invalid: Wrong HTTP URL")
    elif action == "web_app":
        if not isinstance(value, dict) or not str(value.get("url", "")).startswith("https://"):
            raise bad_request("BUTTON_URL_INVALID")
    elif action == "copy_text":
        text = value.get("text") if isinstance(value, dict) else None
        if not isinstance(text, str) or not 1 <= len(text) <= 256:
            raise bad_request("BUTTON_COPY_TEXT_INVALID")


def _reply(markup: Markup) -> Markup:
    rows = markup["keyboard"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "keyboard" must be an Array of Arrays')
    checked = []
    for row in rows:
        buttons = [{"text": button} if isinstance(button, str) else button for button in row]
        for button in buttons:
            if not isinstance(button, dict):
                raise bad_request(
                    "can't parse keyboard button: KeyboardButton must be a String or an Object"
                )
            if not str(button.get("text") or "").strip():
                raise bad_request("keyboard button text must be non-empty")
        checked.append(buttons)
    return {**markup, "keyboard": checked}
