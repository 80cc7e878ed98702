"""What is told of access orders, to vpn and to the person; each from the row it describes."""

from __future__ import annotations

from billing.domain import access
from billing.domain.access import RENEWAL
from billing.domain.errors import OrderRefusedError
from billing.domain.orders import Order
from billing.handlers import announce
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts import errors, vpn
from contracts.access import (
    KIND_TRAFFIC,
    KIND_TRIAL,
    AccessBought,
    AccessNotBought,
    AccessPlan,
    BuyAccess,
    RenewAccess,
)
from contracts.errors import RefusalError
from contracts.ids import uuid7_time
from contracts.money import NO_CREDITS, Credits

log = logs.get("billing.access")


def grant(
    uow: UnitOfWork, order: Order, plan: AccessPlan, command: BuyAccess | RenewAccess
) -> None:
    """Have vpn give what is held for now."""
    message = vpn.GrantAccess(
        order_id=order.order_id,
        user_id=order.user_id,
        plan=plan.id,
        days=plan.days,
        # What a plan includes vpn knows; only what is bought on top is said.
        traffic_bytes=plan.traffic_gib * access.GIB if plan.kind == KIND_TRAFFIC else 0,
        trial=plan.kind == KIND_TRIAL,
        renews=command.period_end if isinstance(command, RenewAccess) else None,
        chosen_at=min(uuid7_time(uow.message_id), uow.now) if uow.message_id else uow.now,
    )
    uow.emit(message, order_id=order.order_id)
    announce.orders_count.add(1, {"outcome": "accepted", "code": ""})


def bought(
    uow: UnitOfWork,
    order: Order,
    event: vpn.AccessGranted,
    kind: str,
    available_credits: Credits,
    traceparent: str,
) -> None:
    told = AccessBought(
        order_id=order.order_id,
        user_id=order.user_id,
        plan_id=order.workflow_id,
        kind=kind,
        charged_credits=order.price_credits,
        available_credits=available_credits,
        until=event.until,
        renewal=order.lane == RENEWAL,
    )
    uow.emit(told, order_id=order.order_id, traceparent=traceparent)
    announce.orders_count.add(1, {"outcome": "completed", "code": ""})
    announce.hold_age.record((uow.now - order.placed_at).total_seconds())


def voided(uow: UnitOfWork, order: Order, traceparent: str) -> None:
    """Nobody is charged; a renewal's period may be asked for again, as another of its orders."""
    told = AccessNotBought(
        order_id=order.order_id,
        user_id=order.user_id,
        plan_id=order.workflow_id,
        code=order.reason,
        renewal=order.lane == RENEWAL,
    )
    uow.emit(told, order_id=order.order_id, traceparent=traceparent)
    code = order.reason[: announce.REFUND_CLASSES_MAX]
    announce.refunds_count.add(1, {"class": code})
    announce.orders_count.add(1, {"outcome": "refunded", "code": code})
    announce.hold_age.record((uow.now - order.placed_at).total_seconds())
    log.info("access_order_voided", order_id=str(order.order_id), reason=order.reason)


def not_bought(
    uow: UnitOfWork,
    each: Received[BuyAccess] | Received[RenewAccess],
    error: RefusalError,
) -> None:
    """Refused before anything was held; the same order may be asked for again."""
    command = each.message
    figures = error if isinstance(error, OrderRefusedError) else None
    renewal = command if isinstance(command, RenewAccess) else None
    told = AccessNotBought(
        order_id=command.order_id,
        user_id=command.user_id,
        plan_id=command.plan_id,
        code=error.code,
        price_credits=_price(command, error),
        available_credits=figures.available_credits if figures is not None else None,
        debt_credits=figures.debt_credits if figures is not None else NO_CREDITS,
        renewal=renewal is not None,
        subscription_id=renewal.subscription_id if renewal is not None else None,
        period_end=renewal.period_end if renewal is not None else None,
    )
    uow.emit(told, order_id=command.order_id, traceparent=each.traceparent)
    announce.orders_count.add(1, {"outcome": "refused", "code": error.code})
    log.info("access_order_refused", order_id=str(command.order_id), code=error.code)


def _price(command: BuyAccess | RenewAccess, error: RefusalError) -> Credits | None:
    """The price of now; where only the balance was too small for it, it is the one shown."""
    short = error.code in {errors.INSUFFICIENT_CREDITS, errors.IN_DEBT}
    if short and isinstance(command, BuyAccess):
        return command.price_credits
    return error.price_credits if isinstance(error, OrderRefusedError) else None
