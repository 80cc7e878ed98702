"""refund_order: give a completed order's credits back; above a limit two people must agree."""

from __future__ import annotations

from typing import Any

from billing.domain import access, order_refunds
from billing.domain.errors import (
    AlreadyRefundedError,
    InvalidError,
    NeedsSecondPersonError,
    NoAccountError,
    NotYoursError,
    SameIdOtherBodyError,
    UnknownOrderError,
)
from billing.domain.ledger import Ledger
from billing.domain.order_refunds import OrderRefund
from billing.domain.orders import Order
from billing.handlers import operator_action, second_person
from billing.ports.payments import Till
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.errors import RefusalError
from contracts.money import Credits
from contracts.operators import OrderCreditedBack, RefundOrder
from contracts.vpn import RevokeAccess

ACTION = "refund_order"


async def refund_order(command: RefundOrder, uow: UnitOfWork, *, till: Till) -> None:
    order, before = await _load(command, uow, till)
    amount = order_refunds.amount_of(order, command.credits, before)
    # Of the order, not of the part: many small refunds are one large one.
    of_order = order_refunds.given_back(before) + amount
    if of_order > till.terms.adjust_alone_max and not command.approved_by:
        raise NeedsSecondPersonError
    await second_person.check(
        command,
        uow,
        till,
        action=ACTION,
        subject_id=str(command.order_id),
        amount=amount,
    )
    refund = await _give_back(command, uow, till, order, amount, before)
    await till.records.add_order_refund(uow.connection, refund, uow.now)
    await operator_action.done(uow, till, ACTION, command, str(command.order_id))


async def _load(
    command: RefundOrder, uow: UnitOfWork, till: Till
) -> tuple[Order, list[OrderRefund]]:
    if not command.reason or not command.actor:
        raise InvalidError("a refund has a reason and somebody who makes it")
    known = await till.records.order_refund(uow.connection, command.refund_id)
    if known is not None:
        raise AlreadyRefundedError if known.order_id == command.order_id else SameIdOtherBodyError
    found = await till.books.orders.load(uow.connection, [command.order_id])
    order = found.get(command.order_id)
    if order is None:
        raise UnknownOrderError
    if order.user_id != command.user_id:
        raise NotYoursError
    return order, await till.records.order_refunds(uow.connection, command.order_id)


async def _give_back(
    command: RefundOrder,
    uow: UnitOfWork,
    till: Till,
    order: Order,
    amount: Credits,
    before: list[OrderRefund],
) -> OrderRefund:
    assert order.hold is not None
    numbers = [number for number, _ in order.hold.parts]
    accounts = await till.books.accounts.load(uow.connection, [order.user_id], numbers)
    account = accounts.get(order.user_id)
    if account is None:
        raise NoAccountError
    ledger = Ledger(uow.now)
    owed = order_refunds.give_back(order, amount, before, account, ledger, command.reason)
    await till.books.accounts.save(uow.connection, ledger)
    refund = OrderRefund(
        command.refund_id,
        order.order_id,
        order.user_id,
        amount,
        owed,
        command.reason,
        command.actor,
        command.approved_by,
    )
    left = order_refunds.left_of(order, [*before, refund])
    revoked = access.is_access(order) and left == 0
    if revoked:
        # What the order gave goes with the last of its price; a part of it is given as goodwill.
        await till.books.access.revoke(uow.connection, order.order_id, uow.now)
        back = RevokeAccess(order_id=order.order_id, user_id=order.user_id, refunded=True)
        uow.emit(back, order_id=order.order_id)
    told = OrderCreditedBack(
        refund_id=command.refund_id,
        order_id=order.order_id,
        user_id=order.user_id,
        workflow_id=order.workflow_id,
        credits=amount,
        debt_paid_credits=owed,
        left_credits=left,
        available_credits=account.available,
        reason=command.reason,
        actor=command.actor,
        access_revoked=revoked,
    )
    uow.emit(told, order_id=order.order_id)
    return refund


async def not_refunded(
    uow: UnitOfWork, each: Received[Any], error: RefusalError, *, till: Till
) -> None:
    subject_id = str(each.message.order_id)
    await operator_action.refused(uow, till, ACTION, each, subject_id, error)
