"""/balance: what the person has, what is reserved, what expires when."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from contracts.billing import Balance
from gateway.bot.callbacks import OpenedPage
from gateway.bot.pages import show
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage
from gateway.domain.screen import Say
from gateway.domain.screens import account, menu
from gateway.ports import Reads, Turn

router = Router(name="balance")


@router.message(Command("balance", ignore_mention=True))
async def balance_command(
    _message: Message, turn: Turn, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    held = reads.get(Balance)
    turn.reply(menu.page(say, "try-again") if held is None else account.balance(say, held, zone))


@router.callback_query(OpenedPage(callbacks.BALANCE))
async def balance_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    held = reads.get(Balance)
    if held is None:
        turn.toast(say("try-again"), alert=True)
        return
    show(turn, query, account.balance(say, held, zone), fresh=tap.fresh)
