"""/history: every movement of credits, page by page."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from contracts.billing import History
from gateway.bot.callbacks import Tapped
from gateway.bot.pages import show
from gateway.domain.callbacks import OpenHistory
from gateway.domain.screen import Say, Screen
from gateway.domain.screens import account, menu
from gateway.ports import Reads, Shop, Turn

router = Router(name="history")


@router.message(Command("history", ignore_mention=True))
async def history_command(
    _message: Message, turn: Turn, shop: Shop, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    page = reads.get(History)
    if page is None:
        turn.reply(menu.page(say, "try-again"))
        return
    turn.reply(_page(page, shop=shop, say=say, zone=zone, newest=True))


@router.callback_query(Tapped(OpenHistory))
async def history_page(
    query: CallbackQuery,
    tap: OpenHistory,
    turn: Turn,
    shop: Shop,
    reads: Reads,
    say: Say,
    zone: ZoneInfo,
) -> None:
    page = reads.get(History)
    if page is None:
        turn.toast(say("try-again"), alert=True)
        return
    show(turn, query, _page(page, shop=shop, say=say, zone=zone, newest=not tap.cursor))


def _page(page: History, *, shop: Shop, say: Say, zone: ZoneInfo, newest: bool) -> Screen:
    titles = {entry.workflow_id: shop.title(say, entry.workflow_id) for entry in page.entries}
    return account.history(say, page, titles=titles, zone=zone, newest=newest)
