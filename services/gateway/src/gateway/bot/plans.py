"""/vip: what the plans give, how they are bought, and whether a subscription renews."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from contracts.ids import PaymentId
from contracts.payments import ChangeSubscription, Offers
from gateway.bot.callbacks import OpenedPage, Tapped
from gateway.bot.pages import show, show_keyed
from gateway.domain import callbacks, keys
from gateway.domain.callbacks import OpenPage
from gateway.domain.packed_ids import mark
from gateway.domain.purchase_buttons import ChangeRenewals, ChoosePlan
from gateway.domain.screen import Say
from gateway.domain.screens import menu, plans
from gateway.ports import Reads, Shop, Turn

router = Router(name="plans")


@router.message(Command("vip", ignore_mention=True))
async def vip_command(
    _message: Message, turn: Turn, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    offers = reads.get(Offers)
    if offers is None:
        turn.reply(menu.page(say, "try-again"))
        return
    turn.reply(plans.plans(say, offers, zone))


@router.callback_query(OpenedPage(callbacks.VIP))
async def vip_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    offers = reads.get(Offers)
    if offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    show(turn, query, plans.plans(say, offers, zone), fresh=tap.fresh)


@router.callback_query(Tapped(ChoosePlan))
async def choose_plan(
    query: CallbackQuery, tap: ChoosePlan, turn: Turn, shop: Shop, reads: Reads, say: Say
) -> None:
    """The purchase's id is made here: this screen is at most one purchase."""
    offers = reads.get(Offers)
    if offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    chosen = next((each for each in offers.plans if each.id == tap.plan_id), None)
    if chosen is None:
        turn.toast(say("toast-not-on-offer"), alert=True)
        return
    shown = plans.of_plan(
        chosen,
        offers,
        checkout_id=PaymentId(shop.new_id()),
        user_id=turn.person.user_id,
        now=turn.uow.now,
    )
    await shop.checkouts.add(turn.uow, shown)
    screen = plans.checkout(say, shown, chosen, offers)
    show_keyed(turn, query, screen, key=keys.payment(shown.checkout_id))


@router.callback_query(Tapped(ChangeRenewals))
async def change_renewals(
    _query: CallbackQuery, tap: ChangeRenewals, turn: Turn, reads: Reads, say: Say
) -> None:
    """Telegram is asked by way of billing; the person hears of it when it is done."""
    offers = reads.get(Offers)
    if offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    meant = [each for each in offers.subscriptions if mark(each.charge_id) == tap.charge_mark]
    if not meant:
        turn.toast(say("toast-old-button"))
        return
    so_already = (meant[0].state == plans.CANCELLED) == tap.cancelled
    wish = ChangeSubscription(
        user_id=turn.person.user_id, charge_id=meant[0].charge_id, cancelled=tap.cancelled
    )
    # Asked for also if it is so: another wish may still be under way, and this one is the last.
    if not await turn.choose(f"renewals:{meant[0].charge_id}", wish):
        turn.toast(say("toast-old-button"))
        return
    turn.toast(say("toast-renewals-so-already" if so_already else "toast-renewals-asked"))
