"""What billing says of an order: it was charged, or nothing was (a renewal's attempt failed)."""

from __future__ import annotations

from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.access import AccessBought, AccessNotBought
from contracts.vpn import CAUSE_OPTIONS
from vpn.domain import renewals
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.handlers.payment_credited import credits_word
from vpn.ports import Books

log = logs.get("vpn.access")


async def record_access_bought(event: AccessBought, uow: UnitOfWork, *, books: Books) -> None:
    await books.grants.bought(uow.connection, event.order_id, uow.now)


async def record_access_not_bought(
    event: AccessNotBought, uow: UnitOfWork, *, books: Books, terms: Terms
) -> None:
    if not event.renewal:
        return
    desk = await Desk.open(uow, books, terms, [event.user_id])
    one = desk.found.get(event.user_id)
    if one is None:
        return
    if event.period_end is None:
        if not renewals.voided(one, event.order_id, event.code, desk.now, terms):
            return
    elif one.id == event.subscription_id:
        renewals.refused(one, event.period_end, event.code, terms)
    else:
        return
    if not await uow.is_last_word(credits_word(event.user_id)):
        # Refused before the top-up that is handled already: that one came to nothing then.
        renewals.credited(one, desk.now, terms)
    log.info("renewal_refused", order_id=str(event.order_id), code=event.code)
    desk.touched(one, CAUSE_OPTIONS)
    desk.look_after(one)
    await desk.close()
