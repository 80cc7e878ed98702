"""/start and the main menu."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import CommandStart
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, Message

from gateway.bot.callbacks import OpenedPage
from gateway.bot.pages import show
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage
from gateway.domain.screen import Say
from gateway.domain.screens import menu
from gateway.ports import Shop, Turn

router = Router(name="start")


@router.message(CommandStart(ignore_mention=True))
async def start(_message: Message, turn: Turn, say: Say, state: FSMContext) -> None:
    await state.clear()
    turn.reply(menu.welcome(say))


@router.callback_query(OpenedPage(callbacks.HOME))
async def home(query: CallbackQuery, tap: OpenPage, turn: Turn, say: Say) -> None:
    show(turn, query, menu.home(say), fresh=tap.fresh)


@router.callback_query(OpenedPage(callbacks.PHOTO))
async def photo_wanted(
    query: CallbackQuery, tap: OpenPage, turn: Turn, shop: Shop, say: Say
) -> None:
    show(turn, query, menu.photo_wanted(say, shop.catalogue.values()), fresh=tap.fresh)
