"""What time makes due: for one subscription by its timer, for many by the ticks behind it."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from contracts.vpn import CheckSubscription, RenewSubscriptions, SendReminders, SweepSubscriptions
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.ports import Books

Tick = SweepSubscriptions | RenewSubscriptions | SendReminders


async def check_subscription(
    command: CheckSubscription, uow: UnitOfWork, *, books: Books, terms: Terms
) -> None:
    desk = await Desk.open(uow, books, terms, [command.user_id])
    one = desk.found.get(command.user_id)
    if one is not None and one.id == command.subscription_id:
        desk.look_after(one, fired=True)
        await desk.close()


async def sweep_subscriptions(_tick: Tick, uow: UnitOfWork, *, books: Books, terms: Terms) -> None:
    """One page of whatever is due: ends, renewals and reminders alike."""
    due = await books.subscriptions.due(uow.connection, uow.now, terms.rows_max)
    await look_after(due, uow, books=books, terms=terms)


async def look_after(due: Sequence[UserId], uow: UnitOfWork, *, books: Books, terms: Terms) -> None:
    """Do what is due for these; whoever is being worked on at this moment is left out."""
    free = await books.subscriptions.lock_free(uow.connection, due)
    desk = await Desk.open(uow, books, terms, free)
    for one in desk.found.values():
        desk.look_after(one)
    await desk.close()
