"""job_failed, job_cancelled: no result will come, so nobody is charged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from billing.handlers import announce
from billing.handlers.case import close_case, open_case
from billing.ports import Books
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.generator import JobCancelled, JobFailed
from contracts.ids import OrderId, UserId

log = logs.get("billing.orders")


class _End(NamedTuple):
    order_id: OrderId
    user_id: UserId
    reason: str
    cancelled: bool
    traceparent: str


async def record_jobs_failed(
    received: Sequence[Received[JobFailed]], uow: UnitOfWork, *, books: Books
) -> None:
    ends = [_of(each, each.message.failure_class) for each in received]
    await _refund(ends, uow, books)


async def record_jobs_cancelled(
    received: Sequence[Received[JobCancelled]], uow: UnitOfWork, *, books: Books
) -> None:
    ends = [_of(each, each.message.reason, cancelled=True) for each in received]
    await _refund(ends, uow, books)


def _of(
    each: Received[JobFailed] | Received[JobCancelled],
    reason: str,
    *,
    cancelled: bool = False,
) -> _End:
    message = each.message
    return _End(message.order_id, message.user_id, reason, cancelled, each.traceparent)


async def _refund(ends: Sequence[_End], uow: UnitOfWork, books: Books) -> None:
    case = await open_case(
        uow, books, [end.order_id for end in ends], {end.user_id for end in ends}
    )
    for end in ends:
        order = case.orders.get(end.order_id)
        if order is None:
            log.error("end_of_unknown_order", order_id=str(end.order_id))
        elif case.refund(order, end.reason):
            announce.refunded(uow, order, cancelled=end.cancelled, traceparent=end.traceparent)
    await close_case(uow, books, case)
