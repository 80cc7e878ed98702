"""job_succeeded: post the hold and have the result delivered."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from billing.domain.pace import Pace
from billing.domain.terms import Terms
from billing.handlers import announce
from billing.handlers.case import close_case, open_case
from billing.ports import Books
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.generator import JobSucceeded

log = logs.get("billing.orders")


async def record_jobs_succeeded(
    received: Sequence[Received[JobSucceeded]],
    uow: UnitOfWork,
    *,
    books: Books,
    pace: Pace,
    terms: Terms,
) -> None:
    order_ids = [each.message.order_id for each in received]
    owners = {each.message.user_id for each in received}
    case = await open_case(uow, books, order_ids, owners, returns=False)
    for each in received:
        event = each.message
        order = case.orders.get(event.order_id)
        if order is None:
            log.error("result_of_unknown_order", order_id=str(event.order_id))
        elif case.complete(order, msgspec.msgpack.encode(event.outputs)):
            available = case.accounts[order.user_id].available
            announce.completed(uow, order, event.outputs, available, each.traceparent)
            pace.finished(order.workflow_id, event.run_seconds)
        else:
            log.info("result_discarded", order_id=str(order.order_id), state=order.state)
    await close_case(uow, books, case, delivery_within=terms.delivery_within)
