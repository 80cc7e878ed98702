"""buy_plan: pay a plan with credits at the price shown; one order id is one purchase."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from billing.domain import plans, prices
from billing.domain.accounts import KIND_PLAN
from billing.domain.errors import (
    NoAccountError,
    OrderRefusedError,
    PlanRefusedError,
    SameIdOtherBodyError,
)
from billing.domain.ledger import Ledger
from billing.handlers import announce, tell
from billing.ports.payments import Till
from billing.ports.records import Purchase
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.billing import TIER_BY_PURCHASE
from contracts.errors import RefusalError
from contracts.money import NO_CREDITS, Credits
from contracts.payments import BuyPlan, PlanBought, PlanRefused


async def buy_plan(command: BuyPlan, uow: UnitOfWork, *, till: Till) -> None:
    connection = uow.connection
    digest = plans.digest_of(command)
    known = await till.records.purchase(connection, command.order_id)
    if known is not None:
        if known.digest != digest:
            raise SameIdOtherBodyError
        return
    plan = till.offers.plans.get(command.plan_id)
    if plan is None:
        raise PlanRefusedError(code=errors.UNKNOWN_PRODUCT)
    prices.check_shown(
        command.price_credits,
        command.priced_at,
        current=plan.price_credits,
        now=uow.now,
        valid=till.terms.price_valid,
    )
    accounts = await till.books.accounts.load(connection, [command.user_id])
    account = accounts.get(command.user_id)
    if account is None:
        raise NoAccountError
    plans.check(account, plan.tier, uow.now)
    ledger = Ledger(uow.now)
    before = account.tier_version
    ledger.spend(account, plan.price_credits, KIND_PLAN, plan.id)
    extended = plans.extend(account, plan.tier, timedelta(days=plan.days), uow.now)
    await till.books.accounts.save(connection, ledger)
    await tell.tier(
        uow,
        till,
        account,
        before,
        reason=f"plan:{plan.id}",
        actor="bought",
        cause=TIER_BY_PURCHASE,
    )
    purchase = Purchase(
        command.order_id, command.user_id, plan.id, digest, plan.price_credits, extended.until
    )
    await till.records.add_purchase(connection, purchase, uow.now)
    event = PlanBought(
        order_id=command.order_id,
        user_id=command.user_id,
        plan_id=plan.id,
        tier=account.tier,
        until=extended.until,
        charged_credits=plan.price_credits,
        available_credits=account.available,
    )
    uow.emit(event, order_id=command.order_id)


async def plan_refused(uow: UnitOfWork, each: Received[Any], error: RefusalError) -> None:
    if isinstance(error, SameIdOtherBodyError):
        announce.rejected(uow, each, error)
        return
    command: BuyPlan = each.message
    figures = error if isinstance(error, OrderRefusedError) else None
    event = PlanRefused(
        order_id=command.order_id,
        user_id=command.user_id,
        plan_id=command.plan_id,
        code=error.code,
        price_credits=_price(command, error),
        available_credits=figures.available_credits if figures is not None else None,
        debt_credits=figures.debt_credits if figures is not None else NO_CREDITS,
    )
    uow.emit(event, order_id=command.order_id, traceparent=each.traceparent)


def _price(command: BuyPlan, error: RefusalError) -> Credits | None:
    """The price of now: where only the balance was too small for it, it is the one shown."""
    if error.code in {errors.INSUFFICIENT_CREDITS, errors.IN_DEBT}:
        return command.price_credits
    return error.price_credits if isinstance(error, OrderRefusedError) else None
