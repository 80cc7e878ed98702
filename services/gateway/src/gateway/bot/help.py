"""/help, /terms and /paysupport."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from contracts.payments import Charges
from gateway.bot.callbacks import OpenedPage
from gateway.bot.pages import show
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage
from gateway.domain.screen import Say
from gateway.domain.screens import menu, payment
from gateway.handlers import operators
from gateway.ports import Reads, Shop, Turn

router = Router(name="help")
SUPPORT_WORDS_MAX = 1_000


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
async def paysupport(
    _message: Message,
    command: CommandObject,
    turn: Turn,
    shop: Shop,
    reads: Reads,
    say: Say,
    zone: ZoneInfo,
) -> None:
    """With words behind it they go to the operators; also while billing is silent."""
    words = (command.args or "").strip()[:SUPPORT_WORDS_MAX]
    if words and shop.admin_chat_id:
        user_id = turn.person.user_id
        await operators.tell(
            turn.uow, lambda spoken: payment.operators_asked(spoken, user_id, words), shop=shop
        )
        turn.reply(menu.page(say, "paysupport-passed-on"))
        return
    found = reads.get(Charges)
    charges = found.charges if found is not None else None
    screen = payment.support(
        say,
        charges,
        zone,
        contact=shop.support_contact,
        read_here=bool(shop.admin_chat_id),
    )
    turn.reply(screen)
