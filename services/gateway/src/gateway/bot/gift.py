"""/gift: set bought credits aside for whoever opens the link; and opening such a link."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters import Command, StateFilter
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, Message

from contracts.billing import Balance
from contracts.money import Credits
from contracts.rewards import MakeGift, OpenGift
from gateway.bot.callbacks import OpenedPage, Tapped
from gateway.bot.pages import show
from gateway.bot.states import Typing
from gateway.bot.where import Where
from gateway.domain import callbacks, keys
from gateway.domain.callbacks import ChooseGift, ConfirmGift, OpenPage
from gateway.domain.screen import Say
from gateway.domain.screens import gifts, menu
from gateway.ports import Reads, Shop, Turn

router = Router(name="gift")
_MOST = "most"


@router.message(Command("gift", ignore_mention=True))
async def gift_command(
    _message: Message, turn: Turn, reads: Reads, say: Say, state: FSMContext
) -> None:
    await state.clear()
    held = reads.get(Balance)
    if held is None:
        turn.reply(menu.page(say, "try-again"))
    else:
        turn.reply(gifts.choose(say, gifts.may_give(held)))


@router.callback_query(OpenedPage(callbacks.GIFT))
async def gift_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, reads: Reads, say: Say, state: FSMContext
) -> None:
    await state.clear()
    held = reads.get(Balance)
    if held is None:
        turn.toast(say("try-again"), alert=True)
    else:
        show(turn, query, gifts.choose(say, gifts.may_give(held)), fresh=tap.fresh)


@router.callback_query(OpenedPage(callbacks.GIFT_OWN))
async def own_amount(
    query: CallbackQuery, tap: OpenPage, turn: Turn, reads: Reads, say: Say, state: FSMContext
) -> None:
    held = reads.get(Balance)
    most = gifts.may_give(held) if held is not None else None
    if most is None:
        turn.toast(say("try-again"), alert=True)
    elif not most:
        show(turn, query, gifts.choose(say, most))
    else:
        await state.set_state(Typing.gift_amount)
        await state.set_data({_MOST: most})
        show(turn, query, gifts.own_amount(say, most), fresh=tap.fresh)


@router.message(StateFilter(Typing.gift_amount), Where(F.text & ~F.text.startswith("/")))
async def amount_typed(
    message: Message, turn: Turn, shop: Shop, say: Say, state: FSMContext
) -> None:
    most = Credits((await state.get_data())[_MOST])
    amount = gifts.typed_amount(message.text or "", most)
    if amount is None:
        turn.reply(gifts.own_amount(say, most, mistyped=True))
        return
    await state.clear()
    turn.reply(gifts.confirm(say, shop.new_id(), amount))


@router.callback_query(Tapped(ChooseGift))
async def choose_amount(
    query: CallbackQuery, tap: ChooseGift, turn: Turn, shop: Shop, reads: Reads, say: Say
) -> None:
    """The gift's id is made here: this screen is at most one gift."""
    held = reads.get(Balance)
    if held is None:
        turn.toast(say("try-again"), alert=True)
    elif tap.credits > gifts.may_give(held):
        turn.toast(say("toast-gift-too-much"), alert=True)
    else:
        show(turn, query, gifts.confirm(say, shop.new_id(), tap.credits))


@router.callback_query(Tapped(ConfirmGift))
async def confirm_gift(query: CallbackQuery, tap: ConfirmGift, turn: Turn, say: Say) -> None:
    """Every tap asks for the same gift: billing makes it once, and its link comes once."""
    turn.uow.emit(MakeGift(gift_id=tap.gift_id, user_id=turn.person.user_id, credits=tap.credits))
    if isinstance(query.message, Message):
        turn.remember(keys.gift(tap.gift_id), query.message.message_id)
    turn.edit_keyed(keys.gift(tap.gift_id), gifts.making(say, tap.credits))
    turn.toast(say("toast-gift-making"))


def open_gift(code: str, *, turn: Turn, say: Say) -> None:
    """A gift's link was followed: the credits are whoever's comes first."""
    turn.uow.emit(OpenGift(user_id=turn.person.user_id, code=code))
    turn.reply(gifts.opening(say))
