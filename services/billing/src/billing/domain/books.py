"""Recomputing an account from its transfers alone: what the books must say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from billing.domain.accounts import AVAILABLE, DEBT, HELD, Transfer
from contracts.money import NO_CREDITS, Credits


class Balances(NamedTuple):
    """What a replay of transfers ends with."""

    available: Credits
    held: Credits
    debt: Credits
    lots: dict[int, Credits]


def replay(transfers: Iterable[Transfer]) -> Balances:
    """Recompute one account from its transfers alone."""
    sums = {AVAILABLE: 0, HELD: 0, DEBT: 0}
    remaining: dict[int, Credits] = {}
    for transfer in transfers:
        if transfer.debit in sums:
            sums[transfer.debit] -= transfer.amount
        if transfer.credit in sums:
            sums[transfer.credit] += transfer.amount
        if AVAILABLE in (transfer.debit, transfer.credit):
            signed = transfer.amount if transfer.credit == AVAILABLE else -transfer.amount
            before = remaining.get(transfer.lot, NO_CREDITS)
            remaining[transfer.lot] = Credits(before + signed)
    available, held, debt = map(Credits, (sums[AVAILABLE], sums[HELD], -sums[DEBT]))
    return Balances(available, held, debt, remaining)
