"""/cancel drops the conversation and stops nothing by itself; its buttons stop an order."""

from __future__ import annotations

from dataclasses import replace

from aiogram import Router
from aiogram.filters import Command
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, Message

from contracts import billing
from gateway.bot.callbacks import OpenedPage, Tapped
from gateway.bot.ownership import own_order
from gateway.bot.pages import show
from gateway.domain import callbacks, keys, order_screen
from gateway.domain.callbacks import CancelOrder, OpenPage
from gateway.domain.screen import Say, Screen
from gateway.domain.screens import order
from gateway.ports import Shop, Turn

router = Router(name="cancel")


@router.message(Command("cancel", ignore_mention=True))
async def cancel(_message: Message, turn: Turn, shop: Shop, say: Say, state: FSMContext) -> None:
    await state.clear()
    turn.reply(await _orders(turn, shop, say, headline=say("conversation-dropped")))


@router.callback_query(OpenedPage(callbacks.ORDERS))
async def orders_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, shop: Shop, say: Say
) -> None:
    show(turn, query, await _orders(turn, shop, say, headline=""), fresh=tap.fresh)


@router.callback_query(Tapped(CancelOrder))
async def cancel_order(
    _query: CallbackQuery, tap: CancelOrder, turn: Turn, shop: Shop, say: Say
) -> None:
    """Asks for the stop; whether it comes in time is decided where the job runs."""
    shown = await own_order(tap.order_id, turn=turn, shop=shop, say=say)
    if shown is None:
        return
    if shown.state == order_screen.CONFIRMING:
        await shop.screens.save(turn.uow, replace(shown, state=order_screen.DROPPED))
        turn.edit_keyed(keys.order(shown.order_id), order.dismissed(say), final=True)
        turn.toast()
    elif shown.state not in order_screen.IN_FLIGHT:
        turn.toast(say("toast-finished"))
    elif shown.cancel_asked:
        turn.toast(say("toast-cancel-asked"))
    else:
        turn.uow.emit(
            billing.CancelOrder(order_id=shown.order_id, user_id=shown.user_id),
            order_id=shown.order_id,
        )
        await shop.screens.save(turn.uow, replace(shown, cancel_asked=True))
        title = shop.title(say, shown.workflow_id)
        turn.edit_keyed(keys.order(shown.order_id), order.cancelling(say, title))
        turn.toast(say("toast-cancelling"))


async def _orders(turn: Turn, shop: Shop, say: Say, *, headline: str) -> Screen:
    shown = await shop.screens.in_flight(turn.uow, turn.person.user_id)
    listed = [(item.order_id, shop.title(say, item.workflow_id)) for item in shown]
    return order.orders(say, listed, headline=headline)
