"""/topup: choose a pack, choose how to pay, and change one's mind."""

from __future__ import annotations

from dataclasses import replace

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from contracts.access import PRODUCT_ACCESS
from contracts.ids import OrderId, PaymentId
from contracts.money import Credits
from contracts.payments import BuyPlan, CancelPayment, CreatePayment, Offers
from gateway.bot.callbacks import OpenedPage, Tapped
from gateway.bot.ownership import own_checkout
from gateway.bot.pages import show, show_keyed
from gateway.domain import callbacks, checkout, keys, order_screen
from gateway.domain.callbacks import OpenPage
from gateway.domain.checkout import Checkout
from gateway.domain.purchase_buttons import ChoosePack, DropPayment, PayWith, TopUpFor
from gateway.domain.screen import Say
from gateway.domain.screens import menu, plans, top_up, vpn
from gateway.domain.screens.top_up import Waiting
from gateway.handlers import access_orders
from gateway.ports import Reads, Shop, Turn

router = Router(name="top_up")


@router.message(Command("topup", ignore_mention=True))
async def top_up_command(_message: Message, turn: Turn, reads: Reads, say: Say) -> None:
    offers = reads.get(Offers)
    turn.reply(menu.page(say, "try-again") if offers is None else top_up.packs(say, offers))


@router.callback_query(OpenedPage(callbacks.TOP_UP))
async def top_up_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, reads: Reads, say: Say
) -> None:
    offers = reads.get(Offers)
    if offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    show(turn, query, top_up.packs(say, offers), fresh=tap.fresh)


@router.callback_query(Tapped(TopUpFor))
async def top_up_for_order(
    query: CallbackQuery, tap: TopUpFor, turn: Turn, shop: Shop, reads: Reads, say: Say
) -> None:
    """The price screen stays where it is: it is what the payment will confirm."""
    offers = reads.get(Offers)
    if offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    waiting = await _waiting(tap.order_id, offers, turn=turn, shop=shop, say=say)
    if waiting is not None:
        show(turn, query, top_up.packs(say, offers, waiting=waiting), fresh=True)


async def _waiting(
    order_id: OrderId, offers: Offers, *, turn: Turn, shop: Shop, say: Say
) -> Waiting | None:
    """The person's own order, if more credits would let it go on; else a toast said why not."""
    shown = await shop.screens.find(turn.uow, order_id)
    if shown is None:
        return await _waiting_access(PaymentId(order_id), offers, turn=turn, shop=shop, say=say)
    if shown.user_id != turn.person.user_id:
        turn.toast(say("toast-not-yours"), alert=True)
        return None
    if shown.state not in {order_screen.PRICED, order_screen.REFUSED}:
        key = "toast-already-ordered" if shown.state in order_screen.IN_FLIGHT else "toast-closed"
        turn.toast(say(key))
        return None
    missing = top_up.missing(shown.price_credits, offers)
    return Waiting(order_id, shop.title(say, shown.workflow_id), missing)


async def _waiting_access(
    checkout_id: PaymentId, offers: Offers, *, turn: Turn, shop: Shop, say: Say
) -> Waiting | None:
    """The same for VPN access, whose screen is a payment's."""
    shown = await own_checkout(checkout_id, turn=turn, shop=shop, say=say)
    if shown is None:
        return None
    price = shown.amount(checkout.CREDITS)
    if price is None or not checkout.may_go_on(shown):
        turn.toast(_already(say, shown))
        return None
    missing = top_up.missing(Credits(price.amount_minor), offers)
    return Waiting(OrderId(checkout_id), shop.title(say, shown.product_id), missing)


@router.callback_query(Tapped(ChoosePack))
async def choose_pack(
    query: CallbackQuery, tap: ChoosePack, turn: Turn, shop: Shop, reads: Reads, say: Say
) -> None:
    """The payment's id is made here: this screen is at most one payment."""
    offers = reads.get(Offers)
    if offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    chosen = next((each for each in offers.packs if each.id == tap.pack_id), None)
    if chosen is None or not top_up.amounts(chosen, offers.methods):
        turn.toast(say("toast-not-on-offer"), alert=True)
        return
    if tap.order_id is not None:
        waiting = await _waiting(tap.order_id, offers, turn=turn, shop=shop, say=say)
        if waiting is None:
            return
    shown = top_up.of_pack(
        chosen,
        offers,
        checkout_id=PaymentId(shop.new_id()),
        user_id=turn.person.user_id,
        now=turn.uow.now,
    )
    shown = replace(shown, order_id=tap.order_id)
    await shop.checkouts.add(turn.uow, shown)
    show_keyed(turn, query, top_up.checkout(say, shown), key=keys.payment(shown.checkout_id))


@router.callback_query(Tapped(PayWith))
async def pay_with(_query: CallbackQuery, tap: PayWith, turn: Turn, shop: Shop, say: Say) -> None:
    """One tap or five: the row's state decides."""
    shown = await own_checkout(tap.checkout_id, turn=turn, shop=shop, say=say)
    if shown is None:
        return
    amount = shown.amount(tap.method)
    if shown.state != checkout.OFFERED or amount is None:
        turn.toast(_already(say, shown))
        return
    await shop.checkouts.save(turn.uow, replace(shown, method=tap.method, state=checkout.ASKED))
    if shown.product == PRODUCT_ACCESS:
        turn.emit_as_said(access_orders.of(shown, priced_at=shown.priced_at), "access")
        screen = vpn.starting(say)
    elif tap.method == checkout.CREDITS:
        turn.uow.emit(
            BuyPlan(
                order_id=OrderId(shown.checkout_id),
                user_id=shown.user_id,
                plan_id=shown.product_id,
                price_credits=Credits(amount.amount_minor),
                priced_at=shown.priced_at,
            )
        )
        screen = plans.buying(say)
    else:
        turn.uow.emit(
            CreatePayment(
                payment_id=shown.checkout_id,
                user_id=shown.user_id,
                provider=amount.method,
                product_id=shown.product_id,
                amount_minor=amount.amount_minor,
                currency=amount.currency,
                order_id=shown.order_id,
            )
        )
        screen = top_up.preparing(say)
    turn.edit_keyed(keys.payment(shown.checkout_id), screen)
    turn.toast()


def _already(say: Say, shown: Checkout) -> str:
    if shown.state in {checkout.ASKED, checkout.OPEN}:
        return say("toast-payment-under-way")
    return say("toast-payment-over")


@router.callback_query(Tapped(DropPayment))
async def drop_payment(
    _query: CallbackQuery, tap: DropPayment, turn: Turn, shop: Shop, say: Say
) -> None:
    """Whoever pays an invoice that is still open somewhere gets what was paid for."""
    shown = await own_checkout(tap.checkout_id, turn=turn, shop=shop, say=say)
    if shown is None:
        return
    if not checkout.may_become(shown.state, checkout.DROPPED):
        turn.toast(say("toast-payment-over"))
        return
    asked = shown.state != checkout.OFFERED
    if asked and shown.method == checkout.CREDITS:
        turn.toast(say("toast-payment-under-way"))
        return
    await shop.checkouts.save(turn.uow, replace(shown, state=checkout.DROPPED))
    if asked:
        turn.uow.emit(CancelPayment(payment_id=shown.checkout_id, user_id=shown.user_id))
    turn.edit_keyed(keys.payment(shown.checkout_id), top_up.dropped(say, asked=asked), final=True)
    turn.toast()
