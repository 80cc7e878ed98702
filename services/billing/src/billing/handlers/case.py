"""What every ending of orders works on: the orders, their accounts and quotas, under lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from billing.domain import orders
from billing.domain.accounts import PENDING, Account, Hold
from billing.domain.ledger import Ledger
from billing.domain.orders import REFUNDED, Order
from billing.domain.quotas import Quota
from billing.ports import Books
from chassis.outbox import UnitOfWork
from contracts.ids import OrderId, UserId


@dataclass(slots=True)
class Case:
    """Orders being ended in one transaction, and what of them must be recorded."""

    ledger: Ledger
    orders: dict[OrderId, Order]
    accounts: dict[UserId, Account]
    quotas: dict[tuple[UserId, str], Quota]
    ended: dict[OrderId, Order] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)

    def complete(self, order: Order, outputs: bytes) -> bool:
        """See orders.complete."""
        return self._record(
            order, orders.complete(order, outputs, self.accounts[order.user_id], self.ledger)
        )

    def post(self, order: Order) -> bool:
        """Charge what is held, where nothing is delivered. False: nothing is held any more."""
        if order.hold is None or order.hold.state != PENDING:
            return False
        return self.complete(order, b"")

    def refund(self, order: Order, reason: str, *, expired: bool = False) -> bool:
        """See orders.refund."""
        quota = self.quotas.get((order.user_id, order.workflow_id))
        account = self.accounts[order.user_id]
        return self._record(
            order, orders.refund(order, reason, account, self.ledger, quota, expired=expired)
        )

    def _record(self, order: Order, changed: bool) -> bool:
        if changed:
            self.ended[order.order_id] = order
            if order.hold is not None and not order.gift:
                self.holds.append(order.hold)
        return changed


async def open_case(
    uow: UnitOfWork,
    books: Books,
    order_ids: Sequence[OrderId],
    locked: Iterable[UserId] = (),
    *,
    returns: bool = True,
) -> Case:
    """Load orders and what they touch. `locked`: the accounts whose locks are held already.

    `returns`: holds may be given back, to their lots; whoever only posts needs none of these.
    """
    connection = uow.connection
    found = await books.orders.load(connection, order_ids)
    owners = sorted({order.user_id for order in found.values()})
    strangers = sorted(set(owners) - set(locked))
    if strangers:
        # An answer that could not say whose order it is. What was read before the lock is stale.
        await books.accounts.lock(connection, strangers)
        found = await books.orders.load(connection, order_ids)
    holds = [order.hold for order in found.values() if order.hold is not None]
    numbers = {number for hold in holds for number, _ in hold.parts}
    limited = {
        (order.user_id, order.workflow_id)
        for order in found.values()
        if order.hold is not None and order.hold.quota_day is not None
    }
    return Case(
        Ledger(uow.now),
        found,
        await books.accounts.load(
            connection, owners, list(numbers) if returns else (), spendable=returns
        ),
        await books.quotas.load(connection, list(limited)),
    )


async def close_case(
    uow: UnitOfWork, books: Books, case: Case, *, delivery_within: timedelta | None = None
) -> None:
    """Record the ends. `delivery_within`: how long a delivery may take before it is asked for."""
    if not case.ended:
        return
    due = [
        (order, uow.now + delivery_within if order.outputs and delivery_within else None)
        for order in case.ended.values()
    ]
    await books.orders.end(uow.connection, due, case.holds, uow.now)
    await books.accounts.save(uow.connection, case.ledger)
    await books.quotas.save(uow.connection, list(case.quotas.values()))
    freed = [
        order.order_id
        for order in case.ended.values()
        if order.discount_percent and order.state == REFUNDED and not order.gift
    ]
    if freed:
        await books.discounts.give_back(uow.connection, freed, uow.now)
