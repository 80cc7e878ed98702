"""extend_everybody: the action is recorded at once, and carried out page by page behind it."""

from __future__ import annotations

from collections.abc import Sequence

from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from contracts.vpn import CAUSE_EXTENDED, EverybodyExtended, ExtendEverybody
from vpn.domain import access, plans
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.ports import Books, Wake
from vpn.ports.extensions import Pages

log = logs.get("vpn.extensions")


async def extend_everybody(
    command: ExtendEverybody, uow: UnitOfWork, *, books: Books, wake: Wake
) -> None:
    if not 1 <= command.days <= plans.DAYS_MAX or not command.reason or not command.actor:
        log.error("extension_refused", action_id=str(command.action_id), actor=command.actor)
        return
    if await books.extensions.begin(uow.connection, command, uow.now):
        log.info("extension_begins", action_id=str(command.action_id), actor=command.actor)
        uow.after_commit(wake)


async def extend_page(uow: UnitOfWork, *, books: Books, pages: Pages, terms: Terms) -> bool:
    """One page of one action; return whether there was any to do. Each person gets it once."""
    action = await pages.claim(uow.connection)
    if action is None:
        return False
    command = action.command
    due = await pages.page(uow.connection, action, terms.rows_max)
    if not due:
        count = await pages.finish(uow.connection, command.action_id, uow.now)
        event = EverybodyExtended(
            action_id=command.action_id,
            days=command.days,
            subscriptions=count,
            actor=command.actor,
        )
        uow.emit(event)
        return True
    owners: Sequence[UserId] = [user_id for _, user_id in due]
    await books.subscriptions.lock(uow.connection, owners)
    desk = await Desk.open(uow, books, terms, owners)
    given = []
    for one in desk.found.values():
        if not pages.applies(action, one):
            continue
        before = one.until
        access.extend(one, command.days, terms, uow.now)
        given.append((one.id, before, one.until))
        desk.changed(one, CAUSE_EXTENDED, days=command.days, reason=command.reason)
    await pages.record(uow.connection, action, given, after_id=due[-1][0])
    await desk.close()
    return True
