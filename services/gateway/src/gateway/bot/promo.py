"""/promo: a code from the command, from a link, or typed when asked for."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters import Command, CommandObject, StateFilter
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, Message

from contracts.rewards import RedeemPromo
from gateway.bot.callbacks import OpenedPage
from gateway.bot.pages import show
from gateway.bot.states import Typing
from gateway.bot.where import Where
from gateway.domain import callbacks, keys
from gateway.domain.callbacks import OpenPage
from gateway.domain.screen import Say
from gateway.domain.screens import rewards
from gateway.ports import Turn

router = Router(name="promo")


@router.message(Command("promo", ignore_mention=True))
async def promo_command(
    _message: Message, command: CommandObject, turn: Turn, say: Say, state: FSMContext
) -> None:
    await take(command.args or "", turn=turn, say=say, state=state)


@router.callback_query(OpenedPage(callbacks.PROMO))
async def promo_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, say: Say, state: FSMContext
) -> None:
    await _expect(state)
    show(turn, query, rewards.promo_ask(say), fresh=tap.fresh)


@router.message(StateFilter(Typing.promo_code), Where(F.text & ~F.text.startswith("/")))
async def promo_typed(message: Message, turn: Turn, say: Say, state: FSMContext) -> None:
    await take(message.text or "", turn=turn, say=say, state=state)


async def take(text: str, *, turn: Turn, say: Say, state: FSMContext) -> None:
    """Send the code to billing, or ask for one where there is none."""
    code = rewards.promo_code(text)
    if code is None:
        await _expect(state)
        turn.reply(rewards.promo_ask(say, mistyped=bool(text.strip())))
        return
    await state.clear()
    turn.uow.emit(RedeemPromo(user_id=turn.person.user_id, code=code))
    turn.reply(rewards.promo_checking(say, code), key=keys.promo(code))


async def _expect(state: FSMContext) -> None:
    await state.set_state(Typing.promo_code)
    await state.set_data({})
