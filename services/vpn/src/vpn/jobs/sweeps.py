"""What is done again and again beside the messages; safe in any number of replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial

from chassis import logs
from chassis.background import contained
from chassis.outbox import Outbox, UnitOfWork
from chassis.sweeps import each_or_all
from contracts.access import KIND_TRAFFIC, AccessPlan
from contracts.ids import UserId
from contracts.vpn import CAUSE_PLAN
from vpn.adapters import postgres_nodes
from vpn.adapters.postgres_desired import DesiredReads
from vpn.adapters.postgres_nodes import NodeKeeping
from vpn.domain import access, plans
from vpn.domain.terms import Terms
from vpn.handlers.check_subscription import look_after
from vpn.handlers.desk import Desk
from vpn.handlers.extend_everybody import extend_page
from vpn.ports import Books
from vpn.ports.extensions import Pages

log = logs.get("vpn.sweeps")
Sweep = Callable[[], Awaitable[None]]
ROUNDS_MAX = 20
"""One sweep takes at most so many full transactions; the next comes soon enough."""
ROTATION_PATIENCE = timedelta(seconds=10)
"""So long nodes that are not known to be down are waited for, before a rotation is told."""
REMOVALS_KEPT = timedelta(days=30)
"""A node that was away for less is told every removal, and every one is on record."""


def table(
    outbox: Outbox,
    *,
    books: Books,
    pages: Pages,
    desired: DesiredReads,
    keeping: NodeKeeping,
    terms: Terms,
) -> dict[str, Sweep]:
    """Each sweep by name."""
    return {
        "sweep-subscriptions": partial(_look_after, outbox, books, terms),
        "extend-everybody": partial(
            _rounds, outbox, partial(extend_page, books=books, pages=pages, terms=terms)
        ),
        "tell-rotations": partial(
            _rounds,
            outbox,
            partial(postgres_nodes.tell_rotated, patience=ROTATION_PATIENCE),
        ),
        "forget-removals": partial(_forget, outbox, desired, keeping),
    }


async def _rounds(outbox: Outbox, take: Callable[[UnitOfWork], Awaitable[int]]) -> None:
    for _ in range(ROUNDS_MAX):
        async with outbox.begin() as uow:
            found = await take(uow)
        if not found:
            return


async def _look_after(outbox: Outbox, books: Books, terms: Terms) -> None:
    """All that is due at once; one that fails must not keep the others waiting."""
    handle = partial(look_after, books=books, terms=terms)
    for _ in range(ROUNDS_MAX):
        async with outbox.database.read() as connection:
            due = await books.subscriptions.due(connection, outbox.clock.now(), terms.rows_max)
        if not due:
            return
        await each_or_all(outbox, due, handle)
        if len(due) < terms.rows_max:
            return


async def _forget(outbox: Outbox, desired: DesiredReads, keeping: NodeKeeping) -> None:
    """Also looks whether the sums kept with every change are still right."""
    before = outbox.clock.now() - REMOVALS_KEPT
    await desired.forget_removed(before, await keeping.all_confirmed())
    for node_set in await desired.audit():
        log.error("node_set_sum_is_wrong", node_set=node_set)


async def apply_plans(
    outbox: Outbox, catalogue: Mapping[str, AccessPlan], *, books: Books, terms: Terms
) -> int:
    """Give everybody the terms their plan has now, but for traffic, which is a period's."""
    changed = 0
    for plan in catalogue.values():
        if plan.kind == KIND_TRAFFIC:
            continue
        while found := await _apply_plan(outbox, plan, books, terms):
            changed += found
    if changed:
        log.info("plans_applied", subscriptions=changed)
    return changed


async def _apply_plan(outbox: Outbox, plan: AccessPlan, books: Books, terms: Terms) -> int:
    async with outbox.begin() as uow:
        found = await books.subscriptions.of_plan_otherwise(
            uow.connection, plan.id, plans.set_of(plan.regions), plan.devices, terms.rows_max
        )
        await books.subscriptions.lock(uow.connection, found)
        desk = await Desk.open(uow, books, terms, found)
        for one in desk.found.values():
            if one.plan == plan.id and access.apply_plan(one, plan):
                desk.changed(one, CAUSE_PLAN)
        await desk.close()
    return len(found)


async def apply_grace(outbox: Outbox, *, books: Books, terms: Terms) -> int:
    """Have nodes end everybody as the grace policy is now; whose grace has begun keeps it."""
    changed, after = 0, UserId(0)
    while True:
        async with outbox.begin() as uow:
            found = await books.subscriptions.of_other_grace(
                uow.connection, terms.grace_given, after, terms.rows_max
            )
            await books.subscriptions.lock(uow.connection, found)
            desk = await Desk.open(uow, books, terms, found)
            for one in desk.found.values():
                desk.touched(one, CAUSE_PLAN)
            await desk.close()
        if not found:
            break
        changed, after = changed + len(found), found[-1]
    if changed:
        log.info("grace_applied", subscriptions=changed)
    return changed


class Soon:
    """Runs a sweep as soon as it is asked for, and every so often without being asked."""

    def __init__(self, name: str, work: Sweep, every: timedelta) -> None:
        self.name = name
        self._work = work
        self._every = every.total_seconds()
        self._asked = asyncio.Event()

    def ask(self) -> None:
        self._asked.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set and it is asked once more."""
        while not stopping.is_set():
            self._asked.clear()
            await contained(self._work(), name=self.name)
            try:
                async with asyncio.timeout(self._every):
                    await self._asked.wait()
            except TimeoutError:
                continue
