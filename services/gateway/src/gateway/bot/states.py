"""Where a conversation stands, as far as the buttons do not say it themselves."""

from __future__ import annotations

from aiogram.fsm.state import State, StatesGroup


class Making(StatesGroup):
    """`choosing`: a photo (`media_id` in the data) was sent, and nothing chosen for it yet."""

    choosing = State()


class Typing(StatesGroup):
    """Words are expected: a promo code, or how many credits to give."""

    promo_code = State()
    gift_amount = State()


MEDIA_ID = "media_id"
