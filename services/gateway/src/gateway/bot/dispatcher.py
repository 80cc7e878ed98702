"""Puts the routers together, in the order in which they are asked."""

from __future__ import annotations

from aiogram import Dispatcher
from aiogram.fsm.storage.base import BaseStorage

from gateway.bot import (
    balance,
    cancel,
    draw,
    fallback,
    gift,
    help,  # noqa: A004 - the feature's name
    history,
    language,
    order,
    photo,
    plans,
    promo,
    referral,
    stars,
    start,
    top_up,
    vpn,
    zone,
)
from gateway.bot.middlewares import PersonMiddleware
from gateway.ports import Shop


def build_dispatcher(shop: Shop, storage: BaseStorage) -> Dispatcher:
    """Called with `feed_update(bot, update, turn=Turn, reads=Reads)`, private chats only.

    The runner keeps groups out. Commands ignore a mention (`/help@some_bot`): checking it would
    ask Telegram for the bot's name in the middle of the transaction, and in a private chat there
    is nobody else.
    """
    dispatcher = Dispatcher(storage=storage, shop=shop)
    dispatcher.update.outer_middleware(PersonMiddleware(shop))
    money = (stars, top_up, plans, vpn)
    rewards = (draw, promo, gift, referral)
    for feature in (
        *(start, help, language, zone, balance, history, cancel, order),
        *money,
        *rewards,  # before the photo: words may be an answer to what they asked
        *(photo, fallback),
    ):
        # A router belongs to one dispatcher at a time; a second one (tests) takes it over.
        feature.router._parent_router = None  # noqa: SLF001
        dispatcher.include_router(feature.router)
    return dispatcher
