"""/vpn: the subscription, its link, what can be bought, and what the person may choose."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import msgspec
from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from contracts.access import KIND_TRIAL
from contracts.ids import PaymentId
from contracts.payments import Offers
from contracts.vpn import Access, RotateKey, SetAccessOptions
from gateway.bot.callbacks import OpenedPage, Tapped
from gateway.bot.pages import show, show_keyed
from gateway.domain import callbacks, checkout, keys
from gateway.domain.access_buttons import AUTO_RENEW, ChooseAccess, ReplaceKey, SetOption
from gateway.domain.callbacks import OpenPage
from gateway.domain.checkout import CREDITS
from gateway.domain.screen import Say
from gateway.domain.screens import menu, vpn
from gateway.handlers import access_orders
from gateway.ports import Reads, Shop, Turn

router = Router(name="vpn")


@router.message(Command("vpn", ignore_mention=True))
async def vpn_command(
    _message: Message, turn: Turn, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    access, offers = reads.get(Access), reads.get(Offers)
    if access is None or offers is None:
        turn.reply(menu.page(say, "try-again"))
        return
    turn.reply(vpn.page(say, access, offers, zone))


@router.callback_query(OpenedPage(callbacks.VPN))
async def vpn_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    access, offers = reads.get(Access), reads.get(Offers)
    if access is None or offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    show(turn, query, vpn.page(say, access, offers, zone), fresh=tap.fresh)


@router.callback_query(OpenedPage(callbacks.VPN_PLANS))
async def plans_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, reads: Reads, say: Say
) -> None:
    access, offers = reads.get(Access), reads.get(Offers)
    if access is None or offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    show(turn, query, vpn.plans(say, access, offers), fresh=tap.fresh)


@router.callback_query(Tapped(ChooseAccess))
async def choose_access(
    query: CallbackQuery, tap: ChooseAccess, turn: Turn, shop: Shop, reads: Reads, say: Say
) -> None:
    """The order's id is made here: this screen is at most one purchase. A trial asks nothing."""
    offers = reads.get(Offers)
    if offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    chosen = next((each for each in offers.access if each.id == tap.plan_id), None)
    if chosen is None:
        turn.toast(say("toast-not-on-offer"), alert=True)
        return
    access = reads.get(Access)
    if chosen.kind == KIND_TRIAL and access is not None and access.trial_used:
        turn.toast(say("vpn-trial-used"), alert=True)
        return
    shown = vpn.of_access(
        chosen,
        offers,
        checkout_id=PaymentId(shop.new_id()),
        user_id=turn.person.user_id,
        now=turn.uow.now,
    )
    if chosen.kind == KIND_TRIAL:
        shown = replace(shown, state=checkout.ASKED, method=CREDITS)
        turn.emit_as_said(access_orders.of(shown, priced_at=shown.priced_at), "access")
        screen = vpn.starting(say)
    else:
        screen = vpn.checkout(say, shown, chosen, offers)
    # Whoever may have access soon: their apps shall speak their language from the first day.
    turn.uow.emit(SetAccessOptions(user_id=turn.person.user_id, language=turn.person.language))
    await shop.checkouts.add(turn.uow, shown)
    show_keyed(turn, query, screen, key=keys.payment(shown.checkout_id))


@router.callback_query(Tapped(ReplaceKey))
async def replace_key(query: CallbackQuery, tap: ReplaceKey, turn: Turn, say: Say) -> None:
    if not tap.confirmed:
        show(turn, query, vpn.key_asked(say))
        return
    turn.uow.emit(RotateKey(user_id=turn.person.user_id, link_too=tap.link_too))
    show(turn, query, vpn.key_being_replaced(say, link_too=tap.link_too))


@router.callback_query(Tapped(SetOption))
async def set_option(
    query: CallbackQuery, tap: SetOption, turn: Turn, reads: Reads, say: Say, zone: ZoneInfo
) -> None:
    """Shown as if done: the command says how it shall be, not that it shall be the other way."""
    access, offers = reads.get(Access), reads.get(Offers)
    if access is None or offers is None:
        turn.toast(say("try-again"), alert=True)
        return
    if not access.exists:
        turn.toast(say("toast-old-button"))
        return
    if tap.option == AUTO_RENEW:
        options = SetAccessOptions(
            user_id=turn.person.user_id, auto_renew=tap.on, language=turn.person.language
        )
        wanted = msgspec.structs.replace(access, auto_renew=tap.on)
    else:
        options = SetAccessOptions(
            user_id=turn.person.user_id, reminders=tap.on, language=turn.person.language
        )
        wanted = msgspec.structs.replace(access, reminders=tap.on)
    if await turn.choose(f"access:{tap.option}:{turn.person.user_id}", options):
        access = wanted
    show(turn, query, vpn.page(say, access, offers, zone))
