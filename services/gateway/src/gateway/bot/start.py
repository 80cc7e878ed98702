"""/start and the main menu."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import CommandStart
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, Message

from gateway.bot import gift, promo
from gateway.bot.callbacks import OpenedPage
from gateway.bot.middlewares import deep_link
from gateway.bot.pages import show
from gateway.bot.states import Typing
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage
from gateway.domain.deep_links import GIFT, PROMO
from gateway.domain.screen import Say
from gateway.domain.screens import menu
from gateway.ports import Shop, Turn

router = Router(name="start")


@router.message(CommandStart(ignore_mention=True))
async def start(message: Message, turn: Turn, say: Say, state: FSMContext) -> None:
    """A gift's or a promo code's link says so itself; whose link it was, billing heard already."""
    await state.clear()
    payload = deep_link(message)
    gift_code = payload.removeprefix(GIFT) if payload.startswith(GIFT) else ""
    promo_code = payload.removeprefix(PROMO) if payload.startswith(PROMO) else ""
    if turn.person.is_new or not (gift_code or promo_code):
        turn.reply(menu.welcome(say))
    if gift_code:
        gift.open_gift(gift_code, turn=turn, say=say)
    if promo_code:
        await promo.take(promo_code, turn=turn, say=say, state=state)


@router.callback_query(OpenedPage(callbacks.HOME))
async def home(
    query: CallbackQuery, tap: OpenPage, turn: Turn, say: Say, state: FSMContext
) -> None:
    """Whoever goes back to the menu no longer means their next words as an answer."""
    if await state.get_state() in Typing:
        await state.clear()
    show(turn, query, menu.home(say), fresh=tap.fresh)


@router.callback_query(OpenedPage(callbacks.PHOTO))
async def photo_wanted(
    query: CallbackQuery, tap: OpenPage, turn: Turn, shop: Shop, say: Say
) -> None:
    show(turn, query, menu.photo_wanted(say, shop.catalogue.values()), fresh=tap.fresh)
