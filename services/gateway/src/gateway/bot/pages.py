"""Where an answer to a tap goes: onto the tapped message, or below it as a new one."""

from __future__ import annotations

from aiogram.types import CallbackQuery, Message

from gateway.domain.screen import Screen
from gateway.ports import Turn


def show(
    turn: Turn, query: CallbackQuery, screen: Screen, *, fresh: bool = False, toast: str = ""
) -> None:
    """A message too old for Telegram to show, or one with a picture, is answered below it."""
    turn.toast(toast)
    if not fresh and isinstance(query.message, Message) and query.message.text is not None:
        turn.edit(query.message.message_id, screen)
    else:
        turn.reply(screen)


def show_keyed(turn: Turn, query: CallbackQuery, screen: Screen, *, key: str) -> None:
    """The same, where the message is remembered under `key` to follow what happens."""
    turn.toast()
    if isinstance(query.message, Message) and query.message.text is not None:
        turn.remember(key, query.message.message_id)
        turn.edit(query.message.message_id, screen)
    else:
        turn.reply(screen, key=key)
