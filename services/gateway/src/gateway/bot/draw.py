"""/draw: one lot a day, whose seal is shown before and whose seed is shown after."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from contracts.rewards import DrawProof, Rewards, TakeDraw
from gateway.bot.callbacks import OpenedPage, Tapped
from gateway.bot.pages import show
from gateway.domain import callbacks, keys
from gateway.domain.callbacks import CheckDraw, DrawNow, OpenPage
from gateway.domain.moments import next_midnight
from gateway.domain.screen import Say, Screen
from gateway.domain.screens import draw, menu
from gateway.ports import Reads, Shop, Turn

router = Router(name="draw")


@router.message(Command("draw", ignore_mention=True))
async def draw_command(
    _message: Message, turn: Turn, shop: Shop, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    shown = _today(turn, shop, reads, say, zone)
    turn.reply(menu.page(say, "try-again") if shown is None else shown)


@router.callback_query(OpenedPage(callbacks.DRAW))
async def draw_button(
    query: CallbackQuery,
    tap: OpenPage,
    turn: Turn,
    shop: Shop,
    reads: Reads,
    say: Say,
    zone: ZoneInfo,
) -> None:
    shown = _today(turn, shop, reads, say, zone)
    if shown is None:
        turn.toast(say("try-again"), alert=True)
    else:
        show(turn, query, shown, fresh=tap.fresh)


@router.callback_query(Tapped(DrawNow))
async def draw_now(
    query: CallbackQuery,
    tap: DrawNow,
    turn: Turn,
    shop: Shop,
    reads: Reads,
    say: Say,
    zone: ZoneInfo,
) -> None:
    """Draws only on the day whose seal the person saw; billing draws once however often asked."""
    known = reads.get(Rewards)
    shown = _today(turn, shop, reads, say, zone)
    if known is None or shown is None:
        turn.toast(say("try-again"), alert=True)
    elif known.draw_day != tap.day:
        show(turn, query, shown, toast=say("toast-draw-other-day"))
    elif known.draw_prize:
        show(turn, query, shown, toast=say("toast-draw-already"))
    else:
        turn.uow.emit(TakeDraw(user_id=turn.person.user_id, day=tap.day))
        if isinstance(query.message, Message):
            turn.remember(keys.draw(tap.day), query.message.message_id)
        turn.edit_keyed(keys.draw(tap.day), draw.drawing(say))
        turn.toast(say("toast-drawing"))


@router.callback_query(Tapped(CheckDraw))
async def check_draw(query: CallbackQuery, turn: Turn, reads: Reads, say: Say) -> None:
    """The proof is a message of its own: what was won stays readable."""
    proof = reads.get(DrawProof)
    if proof is None:
        turn.toast(say("try-again"), alert=True)
        return
    show(turn, query, draw.proof(say, proof, turn.person.user_id), fresh=True)


def _today(turn: Turn, shop: Shop, reads: Reads, say: Say, zone: ZoneInfo) -> Screen | None:
    known = reads.get(Rewards)
    if known is None:
        return None
    midnight = next_midnight(turn.uow.now, shop.shop_zone)
    return draw.today(say, known, zone, midnight=midnight)
