"""/language: which language the bot speaks with this person."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from contracts.vpn import SetAccessOptions
from gateway.bot.callbacks import OpenedPage, Tapped
from gateway.bot.pages import show
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage, SetLanguage
from gateway.domain.screen import Say
from gateway.domain.screens import menu
from gateway.ports import Shop, Turn

router = Router(name="language")


@router.message(Command("language", ignore_mention=True))
async def language_command(_message: Message, turn: Turn, shop: Shop, say: Say) -> None:
    turn.reply(menu.languages(say, shop.texts.languages))


@router.callback_query(OpenedPage(callbacks.LANGUAGE))
async def language_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, shop: Shop, say: Say
) -> None:
    show(turn, query, menu.languages(say, shop.texts.languages), fresh=tap.fresh)


@router.callback_query(Tapped(SetLanguage))
async def set_language(
    query: CallbackQuery, tap: SetLanguage, turn: Turn, shop: Shop, say: Say
) -> None:
    if tap.language not in shop.texts.languages:
        turn.toast(say("toast-old-button"))
        return
    if not await shop.people.set_language(turn.uow, turn.person.user_id, tap.language):
        show(turn, query, menu.home(say))
        return
    turn.uow.emit(SetAccessOptions(user_id=turn.person.user_id, language=tap.language))
    spoken = shop.texts.say(tap.language)
    show(turn, query, menu.home(spoken))
    turn.toast(spoken("language-set"))
