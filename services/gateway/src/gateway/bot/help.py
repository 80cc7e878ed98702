"""/help, /terms and /paysupport."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from gateway.bot.callbacks import OpenedPage
from gateway.bot.pages import show
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage
from gateway.domain.screen import Say
from gateway.domain.screens import menu
from gateway.ports import Shop, Turn

router = Router(name="help")


@router.message(Command("help", ignore_mention=True))
async def help_command(_message: Message, turn: Turn, shop: Shop, say: Say) -> None:
    turn.reply(menu.help_page(say, shop.catalogue.values()))


@router.callback_query(OpenedPage(callbacks.HELP))
async def help_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, shop: Shop, say: Say
) -> None:
    show(turn, query, menu.help_page(say, shop.catalogue.values()), fresh=tap.fresh)


@router.message(Command("terms", ignore_mention=True))
async def terms(_message: Message, turn: Turn, say: Say) -> None:
    turn.reply(menu.page(say, "terms"))


@router.message(Command("paysupport", ignore_mention=True))
async def paysupport(_message: Message, turn: Turn, say: Say) -> None:
    turn.reply(menu.page(say, "paysupport"))
