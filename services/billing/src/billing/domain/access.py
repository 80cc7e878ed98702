"""Access orders: VPN access bought with credits. They hold like any order; vpn answers them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from billing.domain import prices
from billing.domain.accounts import Account
from billing.domain.errors import AccessRefusedError, InFlightCapError, NoAccountError
from billing.domain.ledger import Ledger
from billing.domain.orders import Order
from billing.domain.terms import Terms
from contracts import errors
from contracts.access import (
    ACCESS_PREFIX,
    KIND_PLAN,
    KIND_TRAFFIC,
    KIND_TRIAL,
    AccessPlan,
    BuyAccess,
    RenewAccess,
)
from contracts.money import CREDITS_MAX

POOL = "vpn"
"""Where a job's pool stands in an order's row; nothing is queued there."""
BOUGHT = "bought"
RENEWAL = "renewal"
"""Who placed it, where a job's lane stands: a person, or the clock."""
PLAN_ID = re.compile(ACCESS_PREFIX + r"[a-z0-9_]{1,28}")
DAYS_MAX = 3_660
TRAFFIC_GIB_MAX = 1_000_000
GIB = 1 << 30


def is_access(order: Order) -> bool:
    return order.pool == POOL


def kind_of(order: Order, plans: Mapping[str, AccessPlan]) -> str:
    """What was bought; a plan that is sold no more was one of days."""
    plan = plans.get(order.workflow_id)
    return plan.kind if plan is not None else KIND_PLAN


def digest_of(command: BuyAccess | RenewAccess) -> bytes:
    """What makes two commands the same order. A renewal's price is the day's, not the asker's."""
    what = (
        f"{command.price_credits}"
        if isinstance(command, BuyAccess)
        else f"{command.subscription_id}:{command.period_end.timestamp()}"
    )
    fields = f"{command.user_id}:{command.plan_id}:{what}"
    return hashlib.blake2b(fields.encode(), digest_size=16).digest()


def buy(
    command: BuyAccess,
    plan: AccessPlan | None,
    account: Account | None,
    ledger: Ledger,
    terms: Terms,
) -> Order:
    """Hold the price shown. Raises OrderRefusedError or AccessRefusedError, saying why not."""
    if plan is None:
        raise AccessRefusedError(code=errors.UNKNOWN_PRODUCT)
    prices.check_shown(
        command.price_credits,
        command.priced_at,
        current=plan.price_credits,
        now=ledger.now,
        valid=terms.price_valid,
    )
    expires_at = terms.access_hold_expiry(ledger.now)
    return _hold(command, plan, account, ledger, terms, expires_at)


def renew(
    command: RenewAccess,
    plan: AccessPlan | None,
    account: Account | None,
    ledger: Ledger,
    terms: Terms,
) -> Order:
    """Hold what the plan costs today. Raises as `buy`."""
    if plan is None or plan.kind != KIND_PLAN:
        raise AccessRefusedError(code=errors.UNKNOWN_PRODUCT)
    expires_at = terms.access_hold_expiry(ledger.now, command.period_end)
    return _hold(command, plan, account, ledger, terms, expires_at)


def _hold(
    command: BuyAccess | RenewAccess,
    plan: AccessPlan,
    account: Account | None,
    ledger: Ledger,
    terms: Terms,
    expires_at: datetime,
) -> Order:
    if account is None:
        raise NoAccountError
    placed_by = RENEWAL if isinstance(command, RenewAccess) else BOUGHT
    if placed_by == BOUGHT and account.in_flight >= terms.in_flight_max:
        raise InFlightCapError(limit=terms.in_flight_max)
    hold = ledger.hold(account, command.order_id, plan.price_credits, expires_at)
    return Order(
        command.order_id,
        command.user_id,
        plan.id,
        1,
        plan.price_credits,
        b"",
        ledger.now,
        POOL,
        placed_by,
        hold=hold,
        base_price_credits=plan.price_credits,
    )


def problems(plans: Sequence[AccessPlan]) -> list[str]:
    """What is wrong with plans on offer, each with its field; empty: nothing."""
    found: list[str] = []
    seen: set[str] = set()
    for plan in plans:
        if not PLAN_ID.fullmatch(plan.id):
            found.append(f"{plan.id}: id: {ACCESS_PREFIX}, then lower case letters, digits, _")
        if plan.id in seen:
            found.append(f"{plan.id}: id: stands twice")
        seen.add(plan.id)
        found += _problems(plan)
    return found


def _problems(plan: AccessPlan) -> list[str]:
    found = []
    if plan.kind not in {KIND_PLAN, KIND_TRIAL, KIND_TRAFFIC}:
        found.append(f"{plan.id}: kind: {plan.kind} is not known")
    if not 0 <= plan.price_credits <= CREDITS_MAX:
        found.append(f"{plan.id}: price_credits: 0 to {CREDITS_MAX}")
    if plan.kind != KIND_TRIAL and plan.price_credits < 1:
        found.append(f"{plan.id}: price_credits: only a trial is free")
    if plan.kind == KIND_TRAFFIC:
        if plan.days or not 1 <= plan.traffic_gib <= TRAFFIC_GIB_MAX:
            found.append(f"{plan.id}: traffic_gib: at least 1, and no days")
    elif not 1 <= plan.days <= DAYS_MAX or not 0 <= plan.traffic_gib <= TRAFFIC_GIB_MAX:
        found.append(f"{plan.id}: days: 1 to {DAYS_MAX}; traffic_gib: at least 0")
    return found
