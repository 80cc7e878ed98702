"""What nodes counted: added to subscriptions once, with the notices and the stop it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.vpn import CAUSE_TRAFFIC_SPENT, REMINDER_DEVICES, REMINDER_TRAFFIC, STATE_SUSPENDED
from vpn.domain import access
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.ports import Books
from vpn.ports.traffic import Traffic

log = logs.get("vpn.traffic")
ONLINE_FRESH = timedelta(minutes=5)


async def count_traffic(
    uow: UnitOfWork,
    node: str,
    seen: Mapping[UUID, int],
    epoch: str = "",
    reading: UUID | None = None,
    *,
    books: Books,
    traffic: Traffic,
    terms: Terms,
) -> int:
    """One page of one node's absolute counters; the same page again adds nothing.

    Nor does one that was asked for (`reading`, a UUIDv7) before another that is counted already:
    written late by a keeper that lost the node, it would have the counters fall and rise again.
    Return by how much they fell, which they never should.
    """
    if reading is not None and not await uow.is_last_word(f"counters:{node}", reading):
        log.info("counters_overtaken", node=node)
        return 0
    owners = await books.subscriptions.owners(uow.connection, seen.keys())
    await books.subscriptions.lock(uow.connection, sorted(owners.values()))
    ours = {each: seen[each] for each in owners}
    added, fallen = await traffic.counted(uow.connection, node, ours, epoch=epoch)
    desk = await Desk.open(uow, books, terms, [owners[each] for each in added])
    for one in desk.found.values():
        percent = access.use_traffic(one, added[one.id], terms)
        if one.state == STATE_SUSPENDED and percent:
            desk.changed(one, CAUSE_TRAFFIC_SPENT)
            continue
        desk.touched(one, CAUSE_TRAFFIC_SPENT)
        if percent and one.reminders:
            desk.remind(one, REMINDER_TRAFFIC, percent=percent)
    await desk.close()
    return fallen


async def count_devices(
    uow: UnitOfWork,
    node: str,
    online: Mapping[UUID, int],
    *,
    books: Books,
    traffic: Traffic,
    terms: Terms,
) -> None:
    """Who is connected to one node; whoever is over the soft limit for long is told."""
    await traffic.connected(uow.connection, node, online, uow.now)
    over = await traffic.over_limit(uow.connection, uow.now, ONLINE_FRESH, terms)
    free = await books.subscriptions.lock_free(uow.connection, list(over))
    desk = await Desk.open(uow, books, terms, free)
    for user_id, one in desk.found.items():
        tell = access.count_devices(one, over[user_id], terms, uow.now)
        desk.touched(one, CAUSE_TRAFFIC_SPENT)
        if tell and one.reminders:
            desk.remind(one, REMINDER_DEVICES, limit=one.devices)
    await desk.close()
