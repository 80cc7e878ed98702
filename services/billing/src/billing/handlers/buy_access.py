"""buy_access, renew_access: hold what access costs and have vpn give it, or say why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from billing.domain import access
from billing.domain.errors import SameIdOtherBodyError
from billing.domain.ledger import Ledger
from billing.domain.orders import REFUNDED
from billing.domain.terms import Terms
from billing.handlers import announce, sold
from billing.ports import Books
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.access import AccessPlan, BuyAccess, RenewAccess
from contracts.errors import RefusalError


async def buy_access(
    command: BuyAccess | RenewAccess,
    uow: UnitOfWork,
    *,
    books: Books,
    plans: Mapping[str, AccessPlan],
    terms: Terms,
) -> None:
    connection = uow.connection
    digest = access.digest_of(command)
    known = await books.orders.load(connection, [command.order_id])
    if (order := known.get(command.order_id)) is not None:
        if order.digest != digest:
            raise SameIdOtherBodyError
        if order.state == REFUNDED:
            # Whoever asks again missed the answer; the period's one order has ended for good.
            sold.voided(uow, order, uow.traceparent)
        return
    accounts = await books.accounts.load(connection, [command.user_id])
    ledger = Ledger(uow.now)
    plan = plans.get(command.plan_id)
    account = accounts.get(command.user_id)
    if isinstance(command, BuyAccess):
        order = access.buy(command, plan, account, ledger, terms)
    else:
        order = access.renew(command, plan, account, ledger, terms)
    assert plan is not None
    order.digest = digest
    order.traceparent = uow.traceparent
    await books.accounts.save(connection, ledger)
    await books.orders.add(connection, [order], uow.now)
    sold.grant(uow, order, plan, command)


async def access_refused(uow: UnitOfWork, each: Received[Any], error: RefusalError) -> None:
    if isinstance(error, SameIdOtherBodyError):
        announce.rejected(uow, each, error)
    else:
        sold.not_bought(uow, each, error)
