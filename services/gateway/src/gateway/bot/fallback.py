"""What no other router took: unknown commands, old buttons, stickers. Everything is answered."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.enums import ContentType
from aiogram.types import CallbackQuery, Message

from gateway.bot.where import Where
from gateway.domain.screen import Say
from gateway.domain.screens import menu
from gateway.ports import Turn

router = Router(name="fallback")
# Service messages (pinned, title changed, ...) are not addressed to the bot and get no answer.
_SENT_BY_PEOPLE = frozenset(
    {
        ContentType.AUDIO,
        ContentType.CHECKLIST,
        ContentType.CONTACT,
        ContentType.DICE,
        ContentType.GAME,
        ContentType.LOCATION,
        ContentType.PAID_MEDIA,
        ContentType.POLL,
        ContentType.STICKER,
        ContentType.STORY,
        ContentType.VENUE,
        ContentType.VOICE,
    }
)


@router.message(Where(F.text.startswith("/")))
async def unknown_command(_message: Message, turn: Turn, say: Say) -> None:
    turn.reply(menu.page(say, "unknown-command"))


@router.message(Where(F.content_type.in_(_SENT_BY_PEOPLE)))
async def not_a_photo(_message: Message, turn: Turn, say: Say) -> None:
    turn.reply(menu.page(say, "other-not-photo"))


@router.callback_query()
async def old_button(_query: CallbackQuery, turn: Turn, say: Say) -> None:
    turn.toast(say("toast-old-button"))
