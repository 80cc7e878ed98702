"""Billing's own sweeps and effects: what happens without, or after, a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from billing.domain.terms import Terms
from billing.handlers import run_audit
from billing.handlers.ask_deliveries import ask_deliveries
from billing.handlers.expire_holds import void_overdue
from billing.handlers.expire_lots import expire_lots
from billing.ports import Auditor, Books
from chassis.effects import EffectKind
from chassis.outbox import Outbox
from chassis.sweeps import each_or_all

Sweep = Callable[[], Awaitable[None]]
ROUNDS_MAX = 20
"""One sweep takes at most so many full transactions; the next comes soon enough."""


def sweeps(outbox: Outbox, *, books: Books, terms: Terms) -> dict[str, Sweep]:
    """Each sweep by name; safe to run in any number of replicas at once."""
    return {
        "expire-holds": partial(_expire_holds, outbox, books, terms),
        "expire-lots": partial(_sweep, outbox, partial(expire_lots, books=books, terms=terms)),
        "ask-deliveries": partial(
            _sweep, outbox, partial(ask_deliveries, books=books, terms=terms)
        ),
    }


def effects(auditor: Auditor) -> dict[str, EffectKind]:
    """What is done outside any transaction, by kind."""
    return {run_audit.EFFECT: run_audit.effect(auditor)}


async def _expire_holds(outbox: Outbox, books: Books, terms: Terms) -> None:
    """All overdue holds at once; one that cannot be voided must not keep the others held."""
    for _ in range(ROUNDS_MAX):
        async with outbox.database.read() as connection:
            found = await books.orders.overdue(connection, outbox.clock.now(), terms.rows_max)
        if not found or not await each_or_all(outbox, found, partial(void_overdue, books=books)):
            return


async def _sweep(outbox: Outbox, take: Callable[..., Awaitable[int]]) -> None:
    for _ in range(ROUNDS_MAX):
        async with outbox.begin() as uow:
            found = await take(uow)
        if not found:
            return
