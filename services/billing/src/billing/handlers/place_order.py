"""place_order: hold the price and queue the job, or say why not. Hot: takes the whole batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from billing.domain import orders, quotas
from billing.domain.errors import OrderRefusedError, SameIdOtherBodyError
from billing.domain.ledger import Ledger
from billing.domain.orders import Desk, Order
from billing.domain.terms import Terms
from billing.handlers import announce
from billing.ports import Books, Queues
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.billing import PlaceOrder
from contracts.catalogue import Workflow

Batch = Sequence[Received[PlaceOrder]]


async def place_orders(
    received: Batch,
    uow: UnitOfWork,
    *,
    books: Books,
    queues: Queues,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> None:
    """Decide in delivery order: each order sees what the ones before it left."""
    desk = await _open_desk(received, uow, books, queues, catalogue, terms)
    decided: list[Order] = []
    for each in received:
        command = each.message
        digest = orders.digest_of(command)
        known = desk.digests.get(command.order_id)
        if known is not None:
            # The same order again says nothing new: its answer was recorded with it.
            if known != digest:
                announce.rejected(uow, each, SameIdOtherBodyError())
            continue
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
        decided.append(order)
    await books.orders.add(uow.connection, decided, uow.now)
    await books.accounts.save(uow.connection, desk.ledger)
    await books.quotas.save(uow.connection, list(desk.used.values()))
    await books.discounts.use(uow.connection, desk.discounts_used)
    taken = Counter(order.pool for order in decided if order.hold is not None)
    for pool, jobs in taken.items():
        queues.taken(pool, jobs)
    announce.orders_count.add(taken.total(), {"outcome": "accepted", "code": ""})


async def _open_desk(
    received: Batch,
    uow: UnitOfWork,
    books: Books,
    queues: Queues,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> Desk:
    commands = [each.message for each in received]
    users = list({command.user_id for command in commands})
    limited = {
        (command.user_id, command.workflow_id)
        for command in commands
        if command.workflow_id in catalogue and catalogue[command.workflow_id].free_per_day
    }
    payers = {
        command.user_id
        for command in commands
        if command.workflow_id in catalogue and catalogue[command.workflow_id].price_credits
    }
    connection = uow.connection
    return Desk(
        ledger=Ledger(uow.now),
        accounts=await books.accounts.load(connection, users),
        today=quotas.shop_day(uow.now, terms.zone),
        digests=await books.orders.digests(connection, [each.order_id for each in commands]),
        quotas=await books.quotas.load(connection, list(limited)),
        rooms=queues.rooms(),
        discounts=await books.discounts.load(connection, list(payers), uow.now) if payers else {},
    )
