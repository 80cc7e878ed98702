"""Somebody topped up: a renewal that waits for credits goes on, however often it was refused."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from contracts.payments import PaymentCredited
from contracts.vpn import CAUSE_OPTIONS
from vpn.domain import renewals
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.ports import Books


def credits_word(user_id: UserId) -> str:
    """What is said about whether a person has the credits for a renewal."""
    return f"credits:{user_id}"


async def payment_credited(
    event: PaymentCredited, uow: UnitOfWork, *, books: Books, terms: Terms
) -> None:
    await uow.is_last_word(credits_word(event.user_id))
    desk = await Desk.open(uow, books, terms, [event.user_id])
    one = desk.found.get(event.user_id)
    if one is None or not renewals.credited(one, uow.now, terms):
        return
    desk.touched(one, CAUSE_OPTIONS)
    desk.look_after(one)
    await desk.close()
