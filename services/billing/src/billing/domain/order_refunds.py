"""Refunds of completed orders: how much may be given back, and to which lots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from billing.domain.accounts import POSTED, Account, Parts, has_room
from billing.domain.errors import AlreadyRefundedError, InvalidError, NotChargedError
from billing.domain.ledger import Ledger
from billing.domain.orders import Order
from contracts.ids import OrderId, UserId
from contracts.money import NO_CREDITS, Credits


@dataclass(frozen=True, slots=True)
class OrderRefund:
    """Credits of an order given back by hand, once per `refund_id`."""

    refund_id: UUID
    order_id: OrderId
    user_id: UserId
    credits: Credits
    debt_paid_credits: Credits
    reason: str
    actor: str
    approved_by: str


def given_back(before: Sequence[OrderRefund]) -> Credits:
    return Credits(sum(each.credits for each in before))


def amount_of(order: Order, asked: Credits | None, before: Sequence[OrderRefund]) -> Credits:
    """How much a refund gives: what was asked for, or all that is left.

    Raises NotChargedError, AlreadyRefundedError, or InvalidError for more than is left.
    """
    hold = order.hold
    if hold is None or hold.state != POSTED or hold.amount == 0:
        raise NotChargedError
    left = Credits(hold.amount - given_back(before))
    if left == 0:
        raise AlreadyRefundedError
    if asked is None:
        return left
    if not 1 <= asked <= left:
        raise InvalidError("more than is left of what was charged, or nothing")
    return asked


def parts_of(taken: Parts, already: Credits, amount: Credits) -> Parts:
    """The lots that `amount` returns to, once `already` has: what was spent last comes first.

    So a part of a price gives a person what lasts longest: paid credits before trial ones.
    """
    parts: list[tuple[int, Credits]] = []
    skipped, wanted = already, amount
    for number, part in reversed(taken):
        over = min(part, skipped)
        skipped = Credits(skipped - over)
        given = min(Credits(part - over), wanted)
        if given:
            parts.append((number, given))
            wanted = Credits(wanted - given)
    assert wanted == 0, "no more is given back than was taken"
    return tuple(parts)


def give_back(
    order: Order,
    amount: Credits,
    before: Sequence[OrderRefund],
    account: Account,
    ledger: Ledger,
    reason: str,
) -> Credits:
    """Return `amount` (of amount_of) to the lots it came from. Returns what of it paid debt.

    Raises InvalidError where the account cannot hold so many.
    """
    assert order.hold is not None
    if not has_room(account, amount):
        raise InvalidError("the account cannot hold so many credits")
    parts = parts_of(order.hold.parts, given_back(before), amount)
    return ledger.credit_back(account, order.order_id, parts, reason)


def left_of(order: Order, before: Sequence[OrderRefund]) -> Credits:
    """What of its price is still charged."""
    charged = order.hold.amount if order.hold is not None else NO_CREDITS
    return Credits(charged - given_back(before))
