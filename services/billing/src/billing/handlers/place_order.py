"""place_order: hold the price and queue the job, or say why not.

Hot: orders_and_grants takes it a whole batch at a time, and calls what is here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from billing.domain import orders, quotas
from billing.domain.accounts import Account
from billing.domain.errors import OrderRefusedError, SameIdOtherBodyError
from billing.domain.ledger import Ledger
from billing.domain.orders import Desk, Order
from billing.domain.terms import Terms
from billing.handlers import announce
from billing.ports import Books, Queues
from chassis.consumers import Received
from chassis.database import Connection
from chassis.outbox import UnitOfWork
from contracts.billing import PlaceOrder
from contracts.catalogue import Workflow
from contracts.ids import UserId


def decide(
    each: Received[Any],
    uow: UnitOfWork,
    desk: Desk,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> Order | None:
    """Accept or refuse one, and say so; None: it was answered before."""
    command: PlaceOrder = each.message
    digest = orders.digest_of(command)
    known = desk.digests.get(command.order_id)
    if known is not None:
        # The same order again says nothing new: its answer was recorded with it.
        if known != digest:
            announce.rejected(uow, each, SameIdOtherBodyError())
        return None
    desk.digests[command.order_id] = digest
    try:
        order = orders.place(command, digest, desk, catalogue, terms)
    except OrderRefusedError as error:
        order = orders.refused(command, digest, error, uow.now)
        order.traceparent = each.traceparent
        announce.refused(uow, order, error)
    else:
        order.traceparent = each.traceparent
        announce.accepted(uow, order, command, catalogue[command.workflow_id])
    return order


async def record(
    decided: Sequence[Order], uow: UnitOfWork, desk: Desk, books: Books, queues: Queues
) -> None:
    """Record everything but the accounts: the batch's grants changed those too."""
    if not decided:
        return
    await books.orders.add(uow.connection, decided, uow.now)
    await books.quotas.save(uow.connection, list(desk.used.values()))
    await books.discounts.use(uow.connection, desk.discounts_used)
    taken = Counter(order.pool for order in decided if order.hold is not None)
    for pool, jobs in taken.items():
        queues.taken(pool, jobs)
    announce.orders_count.add(taken.total(), {"outcome": "accepted", "code": ""})


async def open_desk(
    commands: Sequence[PlaceOrder],
    ledger: Ledger,
    accounts: dict[UserId, Account],
    *,
    connection: Connection,
    books: Books,
    queues: Queues,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> Desk:
    """What these orders are decided by. Raises TransientError while the queues are unknown."""
    desk = Desk(ledger, accounts, quotas.shop_day(ledger.now, terms.zone))
    if not commands:
        return desk
    known = [command for command in commands if command.workflow_id in catalogue]
    limited = {
        (command.user_id, command.workflow_id)
        for command in known
        if catalogue[command.workflow_id].free_per_day
    }
    payers = {command.user_id for command in known if catalogue[command.workflow_id].price_credits}
    desk.digests = await books.orders.digests(connection, [each.order_id for each in commands])
    desk.quotas = await books.quotas.load(connection, list(limited))
    desk.rooms = queues.rooms()
    if payers:
        desk.discounts = await books.discounts.load(connection, list(payers), ledger.now)
    return desk
