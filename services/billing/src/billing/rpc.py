"""What billing answers: reads, each within two seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from billing.domain.pace import Pace
from billing.domain.terms import Terms
from billing.handlers.check_pre_checkout import check_pre_checkout
from billing.handlers.find_records import find_records
from billing.handlers.get_balance import get_balance
from billing.handlers.get_charges import get_charges
from billing.handlers.get_draw_proof import get_draw_proof
from billing.handlers.get_held import get_held
from billing.handlers.get_history import get_history
from billing.handlers.get_offers import get_offers
from billing.handlers.get_price import get_price
from billing.handlers.get_queue_position import get_queue_position
from billing.handlers.get_rewards import get_rewards
from billing.handlers.reconcile import reconcile
from billing.ports import Reads
from billing.ports.operators import Ledgers, Search
from billing.ports.payments import PaymentProvider, PaymentReads, Till
from billing.ports.rewards import RewardReads
from chassis.clock import Clock
from contracts import billing, payments
from contracts import rewards as given
from contracts.catalogue import Workflow
from contracts.envelope import Reply, Request
from contracts.operators import FindRecords, GetHeld, Reconcile, Tried, TryCommand

Answer = tuple[type[Request], Callable[[Any], Awaitable[Reply]]]


def operator_table(
    *,
    search: Search,
    try_command: Callable[[TryCommand], Awaitable[Tried]],
    ledgers: Ledgers,
    seen: PaymentReads,
    till: Till,
    providers: Mapping[str, PaymentProvider],
) -> tuple[Answer, ...]:
    """What operators ask."""
    compare = partial(reconcile, ledgers=ledgers, on=till.on, providers=providers)
    return (
        (FindRecords, partial(find_records, search=search)),
        (TryCommand, try_command),
        (Reconcile, compare),
        (GetHeld, partial(get_held, seen=seen)),
    )


def table(
    *,
    reads: Reads,
    reward_reads: RewardReads,
    seen: PaymentReads,
    till: Till,
    clock: Clock,
    pace: Pace,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
    history_page_max: int,
) -> tuple[Answer, ...]:
    balance = partial(get_balance, reads=reads, clock=clock, terms=terms)
    price = partial(get_price, reads=reads, clock=clock, catalogue=catalogue, terms=terms)
    history = partial(get_history, reads=reads, plans=till.offers.plans, page_max=history_page_max)
    position = partial(get_queue_position, reads=reads, clock=clock, pace=pace)
    rewards = partial(get_rewards, reads=reward_reads, clock=clock, terms=terms)
    proof = partial(get_draw_proof, reads=reward_reads, clock=clock, terms=terms)
    paying = partial(partial, till=till, seen=seen, reads=reads, clock=clock)
    return (
        (billing.GetBalance, balance),
        (billing.GetPrice, price),
        (billing.GetHistory, history),
        (billing.GetQueuePosition, position),
        (given.GetRewards, rewards),
        (payments.GetOffers, paying(get_offers)),
        (payments.CheckPreCheckout, paying(check_pre_checkout)),
        (payments.GetCharges, partial(get_charges, seen=seen, offers=till.offers)),
        (given.GetDrawProof, proof),
    )
