"""/invite: the person's own link, who came by it, and what that brought."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from contracts.rewards import Rewards
from gateway.bot.callbacks import OpenedPage
from gateway.bot.pages import show
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage
from gateway.domain.deep_links import REFERRAL
from gateway.domain.screen import Say, Screen
from gateway.domain.screens import menu, rewards
from gateway.ports import Reads, Shop, Turn

router = Router(name="referral")


@router.message(Command("invite", ignore_mention=True))
async def invite_command(_message: Message, turn: Turn, shop: Shop, reads: Reads, say: Say) -> None:
    shown = _invite(shop, reads, say)
    turn.reply(menu.page(say, "try-again") if shown is None else shown)


@router.callback_query(OpenedPage(callbacks.INVITE))
async def invite_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, shop: Shop, reads: Reads, say: Say
) -> None:
    shown = _invite(shop, reads, say)
    if shown is None:
        turn.toast(say("try-again"), alert=True)
    else:
        show(turn, query, shown, fresh=tap.fresh)


def _invite(shop: Shop, reads: Reads, say: Say) -> Screen | None:
    """None: billing is silent, the account is still being opened, or our name is not known."""
    known = reads.get(Rewards)
    if known is None or not known.referral_code:
        return None
    link = shop.links.start(f"{REFERRAL}{known.referral_code}")
    return rewards.invite(say, known, link) if link is not None else None
