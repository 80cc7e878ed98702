"""Billing's own sweeps and effects: what happens without, or after, a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from billing.domain.terms import Terms
from billing.handlers import (
    create_payment,
    forget_seal_head,
    refund_charge,
    run_audit,
    watch_payments,
)
from billing.handlers.ask_deliveries import ask_deliveries
from billing.handlers.credit_referrals import credit_referrals
from billing.handlers.expire_holds import void_overdue
from billing.handlers.expire_lots import expire_lots
from billing.handlers.return_gifts import return_gifts
from billing.handlers.take_draw import make_draw_days
from billing.handlers.warn_expiring import warn_expiring
from billing.ports import Auditor, Books, SealHeads
from billing.ports.payments import PaymentProvider, Till
from billing.ports.rewards import Rewards
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


def reward_sweeps(
    outbox: Outbox, *, books: Books, rewards: Rewards, terms: Terms
) -> dict[str, Sweep]:
    """The sweeps of what people are given."""
    each = {
        "make-draw-days": partial(make_draw_days, rewards=rewards, terms=terms),
        "return-gifts": partial(return_gifts, books=books, rewards=rewards, terms=terms),
        "credit-referrals": partial(credit_referrals, books=books, terms=terms),
        "warn-expiring": partial(warn_expiring, rewards=rewards, terms=terms),
    }
    return {name: partial(_sweep, outbox, take) for name, take in each.items()}


def effects(auditor: Auditor) -> dict[str, EffectKind]:
    """What is done outside any transaction, by kind."""
    return {run_audit.EFFECT: run_audit.effect(auditor)}


def seal_effects(heads: SealHeads, till: Till) -> dict[str, EffectKind]:
    """What becomes of the chain's head outside the database."""
    return {forget_seal_head.EFFECT: forget_seal_head.effect(heads, till)}


def payment_effects(
    outbox: Outbox, till: Till, providers: Mapping[str, PaymentProvider]
) -> dict[str, EffectKind]:
    """The calls to payment providers."""
    database = outbox.database
    return {
        create_payment.EFFECT: create_payment.effect(till, providers, database),
        refund_charge.EFFECT: refund_charge.effect(till, providers, database),
        watch_payments.EFFECT: watch_payments.effect(till, providers, database, outbox.clock),
    }


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
