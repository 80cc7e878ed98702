"""From a photo to a placed order: choose, see the price, confirm; later the result as a file."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from aiogram import Router
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery

from contracts.billing import Price
from contracts.ids import OrderId
from gateway.bot.callbacks import Tapped
from gateway.bot.ownership import own_order, own_photo
from gateway.domain import keys, order_screen
from gateway.domain.callbacks import ChooseWorkflow, ConfirmOrder, DismissOrder, SendAsFile
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import Say
from gateway.domain.screens import order, outcome, upload
from gateway.handlers import placing
from gateway.ports import Reads, Shop, Turn

router = Router(name="order")


@router.callback_query(Tapped(ChooseWorkflow))
async def choose_workflow(
    _query: CallbackQuery,
    tap: ChooseWorkflow,
    turn: Turn,
    shop: Shop,
    reads: Reads,
    say: Say,
    zone: ZoneInfo,
    state: FSMContext,
) -> None:
    """Show the price. The order's id is made here: this screen is at most one order."""
    photo = await own_photo(tap.media_id, turn=turn, shop=shop, say=say)
    if photo is None:
        return
    workflow = shop.catalogue.get(tap.workflow_id)
    if workflow is None or not upload.takes_a_photo(workflow):
        turn.toast(say("refused-unknown-workflow"), alert=True)
        return
    problem = placing.problem(say, workflow, [photo])
    quote = reads.get(Price)
    if problem is not None or quote is None:
        turn.toast(problem or say("try-again"), alert=True)
        return
    shown = OrderScreen(
        order_id=OrderId(shop.new_id()),
        user_id=turn.person.user_id,
        workflow_id=workflow.id,
        catalogue_version=quote.catalogue_version,
        price_credits=quote.price_credits,
        base_price_credits=quote.base_price_credits,
        priced_at=quote.priced_at,
        inputs=(photo.id,),
    )
    await shop.screens.add(turn.uow, shown)
    await state.clear()
    turn.reply(order.price(say, shown, workflow, quote, zone), key=keys.order(shown.order_id))
    turn.toast()


@router.callback_query(Tapped(ConfirmOrder))
async def confirm_order(
    _query: CallbackQuery, tap: ConfirmOrder, turn: Turn, shop: Shop, say: Say
) -> None:
    """Place the order, once: the row's state decides, not the number of taps."""
    shown = await own_order(tap.order_id, turn=turn, shop=shop, say=say)
    if shown is None:
        return
    if shown.state != order_screen.PRICED:
        turn.toast(_already(say, shown))
        return
    placed = await placing.confirm(shown, turn.uow, shop=shop, say=say)
    turn.edit_keyed(
        keys.order(shown.order_id),
        placed.screen,
        final=placed.state == order_screen.DROPPED,
    )
    turn.toast(placed.toast)


def _already(say: Say, shown: OrderScreen) -> str:
    if shown.state == order_screen.CONFIRMING:
        return say("toast-waiting")
    if shown.state == order_screen.DROPPED:
        return say("toast-closed")
    if shown.state in order_screen.IN_FLIGHT:
        return say("toast-already-ordered")
    return say("toast-finished")


@router.callback_query(Tapped(DismissOrder))
async def dismiss_order(
    _query: CallbackQuery, tap: DismissOrder, turn: Turn, shop: Shop, say: Say
) -> None:
    shown = await own_order(tap.order_id, turn=turn, shop=shop, say=say)
    if shown is None:
        return
    if shown.state in order_screen.IN_FLIGHT:
        turn.toast(say("toast-too-late-to-dismiss"))
        return
    if not order_screen.may_become(shown.state, order_screen.DROPPED):
        turn.toast(_already(say, shown))
        return
    await shop.screens.save(turn.uow, replace(shown, state=order_screen.DROPPED))
    turn.edit_keyed(keys.order(shown.order_id), order.dismissed(say), final=True)
    turn.toast()


@router.callback_query(Tapped(SendAsFile))
async def send_as_file(
    _query: CallbackQuery, tap: SendAsFile, turn: Turn, shop: Shop, say: Say
) -> None:
    shown = await own_order(tap.order_id, turn=turn, shop=shop, say=say)
    if shown is None:
        return
    if not shown.outputs:
        turn.toast(say("toast-nothing-to-send"))
        return
    turn.toast(say("toast-sending-file"))
    for output in shown.outputs:
        turn.reply(outcome.as_file(say, output, shop.title(say, shown.workflow_id)))
