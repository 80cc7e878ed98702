"""The events billing tells the others, each from the state it describes, and their figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from billing.domain.errors import OrderRefusedError
from billing.domain.orders import Order
from chassis import logs, metrics
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts import billing, generator
from contracts.catalogue import Workflow
from contracts.envelope import Event
from contracts.errors import RefusalError
from contracts.ids import NOBODY, UserId
from contracts.media import MediaRef
from contracts.money import NO_CREDITS, Credits

log = logs.get("billing.orders")
orders_count = metrics.counter("vitrine.billing.orders", description="by outcome and code")
refunds_count = metrics.counter("vitrine.billing.refunds", description="by class of the reason")
gifts_count = metrics.counter("vitrine.billing.gifts", description="results after hold expiry")
hold_age = metrics.histogram("vitrine.billing.hold_age", description="from hold to its end")

REFUND_CLASSES_MAX = 40
"""A reason longer than this is no class of ours; it would make a figure of its own each time."""


def aggregate_of(order: Order) -> str:
    return f"order:{order.order_id}"


def accepted(
    uow: UnitOfWork, order: Order, command: billing.PlaceOrder, workflow: Workflow
) -> None:
    """The job for the generators, and the news that the price is held."""
    assert order.start_before is not None
    job = generator.RunJob(
        order_id=order.order_id,
        user_id=order.user_id,
        workflow_id=order.workflow_id,
        catalogue_version=order.catalogue_version,
        start_before=order.start_before,
        deadline_seconds=workflow.deadline_seconds,
        inputs=command.inputs,
        params=command.params,
    )
    uow.emit(
        job,
        subject=generator.job_subject(order.pool, order.lane),
        order_id=order.order_id,
        traceparent=order.traceparent,
    )
    event = billing.OrderAccepted(
        order_id=order.order_id,
        user_id=order.user_id,
        workflow_id=order.workflow_id,
        price_credits=order.price_credits,
        pool=order.pool,
        lane=order.lane,
        start_before=order.start_before,
    )
    _tell(uow, event, order, order.traceparent)


def refused(uow: UnitOfWork, order: Order, error: OrderRefusedError) -> None:
    event = billing.OrderRefused(
        order_id=order.order_id,
        user_id=order.user_id,
        code=error.code,
        workflow_id=order.workflow_id,
        price_credits=error.price_credits,
        available_credits=error.available_credits,
        limit=error.limit,
        debt_credits=error.debt_credits,
    )
    _tell(uow, event, order, order.traceparent)
    orders_count.add(1, {"outcome": "refused", "code": error.code})
    log.info("order_refused", order_id=str(order.order_id), code=error.code)


def completed(
    uow: UnitOfWork,
    order: Order,
    outputs: tuple[MediaRef, ...],
    available_credits: Credits,
    traceparent: str,
) -> None:
    event = billing.OrderCompleted(
        order_id=order.order_id,
        user_id=order.user_id,
        workflow_id=order.workflow_id,
        charged_credits=NO_CREDITS if order.gift else order.price_credits,
        outputs=outputs,
        available_credits=available_credits,
        cancel_lost=order.cancel_requested,
        gift=order.gift,
    )
    _tell(uow, event, order, traceparent)
    if order.gift:
        gifts_count.add(1)
        log.warning("order_given_as_gift", order_id=str(order.order_id))
    else:
        orders_count.add(1, {"outcome": "completed", "code": ""})
        hold_age.record((uow.now - order.placed_at).total_seconds())


def refunded(uow: UnitOfWork, order: Order, *, cancelled: bool, traceparent: str) -> None:
    assert order.hold is not None
    event = billing.OrderRefunded(
        order_id=order.order_id,
        user_id=order.user_id,
        workflow_id=order.workflow_id,
        returned_credits=order.hold.amount,
        reason=order.reason,
        cancelled=cancelled,
        debt_paid_credits=order.hold.debt_paid,
    )
    _tell(uow, event, order, traceparent)
    refunds_count.add(1, {"class": order.reason[:REFUND_CLASSES_MAX]})
    orders_count.add(1, {"outcome": "refunded", "code": order.reason[:REFUND_CLASSES_MAX]})
    hold_age.record((uow.now - order.placed_at).total_seconds())
    log.info("order_refunded", order_id=str(order.order_id), reason=order.reason)


def rejected(uow: UnitOfWork, received: Received[Any], error: RefusalError) -> None:
    """A command contradicts the record; whoever sent it can find it by its id."""
    message = received.message
    order_id = getattr(message, "order_id", None)
    event = billing.CommandRejected(
        command_subject=message.subject,
        command_id=received.headers.id,
        code=error.code,
        user_id=getattr(message, "user_id", NOBODY),
        order_id=order_id,
    )
    uow.emit(event, order_id=order_id, traceparent=received.traceparent)
    log.info("command_rejected", subject=message.subject, code=error.code)


def tier_word(user_id: UserId) -> str:
    """What every change of a tier is the last word on, for now."""
    return f"tier:{user_id}"


def tier_set(
    uow: UnitOfWork,
    command: billing.SetTier,
    until: datetime | None,
    version: int,
    trace: str,
    *,
    cause: str = "",
) -> None:
    event = billing.TierSet(user_id=command.user_id, tier=command.tier, until=until, cause=cause)
    uow.emit(event, aggregate=f"tier:{command.user_id}", version=version, traceparent=trace)


def _tell(uow: UnitOfWork, event: Event, order: Order, traceparent: str) -> None:
    uow.emit(
        event,
        aggregate=aggregate_of(order),
        version=order.version,
        order_id=order.order_id,
        traceparent=traceparent,
    )
