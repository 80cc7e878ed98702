"""place_order and grant_credits of a batch, at one sitting: on a busy account they alternate.

Hot: an order may be paid by the grant before it, so neither kind can go first, and each kind
apart would load and save the account again at every change from one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from billing.domain.ledger import Ledger
from billing.domain.orders import Order
from billing.domain.terms import Terms
from billing.handlers import grant_credits, place_order
from billing.ports import Books, Grant, Queues
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.billing import GrantCredits, PlaceOrder
from contracts.catalogue import Workflow

Batch = Sequence[Received[PlaceOrder] | Received[GrantCredits]]


async def place_and_grant(
    received: Batch,
    uow: UnitOfWork,
    *,
    books: Books,
    queues: Queues,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> None:
    """Decide in delivery order: each message sees what the ones before it left."""
    connection = uow.connection
    messages = [each.message for each in received]
    orders = [message for message in messages if isinstance(message, PlaceOrder)]
    keys = [message.grant_key for message in messages if isinstance(message, GrantCredits)]
    ledger = Ledger(uow.now)
    accounts = await books.accounts.load(connection, list({each.user_id for each in messages}))
    desk = await place_order.open_desk(
        orders,
        ledger,
        accounts,
        connection=connection,
        books=books,
        queues=queues,
        catalogue=catalogue,
        terms=terms,
    )
    known = await books.grants.find(connection, keys) if keys else {}
    placed: list[Order] = []
    granted: list[tuple[Grant, int, str]] = []
    for each in received:
        if isinstance(each.message, PlaceOrder):
            order = place_order.decide(each, uow, desk, catalogue, terms)
            if order is not None:
                placed.append(order)
        else:
            made = grant_credits.decide(each, uow, ledger, accounts, known)
            if made is not None:
                granted.append(made)
    await place_order.record(placed, uow, desk, books, queues)
    await books.grants.add(connection, granted, uow.now)
    await books.accounts.save(connection, ledger)
