"""buy_access, renew_access: hold what access costs and have vpn give it, or say why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from billing.domain import access
from billing.domain.errors import AccessRefusedError, SameIdOtherBodyError
from billing.domain.ledger import Ledger
from billing.domain.orders import REFUNDED, Order
from billing.domain.terms import Terms
from billing.handlers import announce, sold
from billing.ports import Books
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.access import AccessPlan, BuyAccess, RenewAccess
from contracts.errors import RefusalError
from contracts.ids import renewal_order_id, renewal_order_ids


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
    command, known = await _latest(command, uow, books)
    if known is not None:
        if known.digest != digest:
            raise SameIdOtherBodyError
        if known.state == REFUNDED:
            # Whoever asks again missed the answer.
            sold.voided(uow, known, uow.traceparent)
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


async def _latest(
    command: BuyAccess | RenewAccess, uow: UnitOfWork, books: Books
) -> tuple[BuyAccess | RenewAccess, Order | None]:
    """The command under the id that counts now, and its order if there is one.

    A renewal's period has its ids in a row. One whose order is refunded is done with, for that is
    final; the first that is not is open, charged, or free. So at most one is open or charged.
    """
    if isinstance(command, BuyAccess):
        known = await books.orders.load(uow.connection, [command.order_id])
        return command, known.get(command.order_id)
    about = (command.subscription_id, command.period_end)
    if command.order_id != renewal_order_id(*about):
        raise AccessRefusedError(code=errors.INVALID)
    order_ids = renewal_order_ids(*about)
    known = await books.orders.load(uow.connection, order_ids)
    order_id = next(
        (each for each in order_ids if each not in known or known[each].state != REFUNDED),
        order_ids[-1],
    )
    return msgspec.structs.replace(command, order_id=order_id), known.get(order_id)


async def access_refused(uow: UnitOfWork, each: Received[Any], error: RefusalError) -> None:
    if isinstance(error, SameIdOtherBodyError):
        announce.rejected(uow, each, error)
    else:
        sold.not_bought(uow, each, error)
