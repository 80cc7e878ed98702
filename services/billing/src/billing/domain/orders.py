"""Orders: whether one is accepted, and what each answer about its job makes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import msgspec

from billing.domain import prices, quotas, tiers
from billing.domain.accounts import HOLD_EXPIRED, PENDING, Account, Hold
from billing.domain.discounts import Discount
from billing.domain.errors import (
    AlreadyFinishedError,
    InFlightCapError,
    NoAccountError,
    NotYoursError,
    OrderRefusedError,
    QueueFullError,
    UnknownWorkflowError,
)
from billing.domain.ledger import Ledger
from billing.domain.prices import Offer
from billing.domain.quotas import Quota
from billing.domain.terms import Terms
from contracts import billing
from contracts.catalogue import Workflow
from contracts.ids import OrderId, UserId
from contracts.money import Credits

ACCEPTED = "accepted"
RUNNING = "running"
COMPLETED = "completed"
REFUNDED = "refunded"
REFUSED = "refused"
OPEN_STATES = frozenset({ACCEPTED, RUNNING})

DIGEST_BYTES = 16
WORKFLOW_ID_MAX = 100
"""What is kept of a workflow's name nobody knows."""
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


@dataclass(slots=True)
class Order:
    """One order; `version` counts what was told about it, `digest` names its business fields."""

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    catalogue_version: int
    price_credits: Credits
    digest: bytes
    placed_at: datetime
    pool: str = ""
    lane: str = ""
    start_before: datetime | None = None
    state: str = ACCEPTED
    version: int = 1
    reason: str = ""
    cancel_requested: bool = False
    gift: bool = False
    finished_at: datetime | None = None
    outputs: bytes = b""
    traceparent: str = ""
    hold: Hold | None = None
    base_price_credits: Credits | None = None
    """The price before any discount; none where nothing was held."""
    discount_percent: int = 0


@dataclass(slots=True)
class Desk:
    """Everything one sitting of placing orders works on; whoever loads it holds the locks."""

    ledger: Ledger
    accounts: dict[UserId, Account]
    today: date
    digests: dict[OrderId, bytes] = field(default_factory=dict)
    quotas: dict[tuple[UserId, str], Quota] = field(default_factory=dict)
    rooms: dict[str, int] = field(default_factory=dict)
    """How many more jobs each pool's queue takes; 0: full."""
    used: dict[tuple[UserId, str], Quota] = field(default_factory=dict)
    """The quotas that changed."""
    discounts: dict[UserId, list[Discount]] = field(default_factory=dict)
    discounts_used: list[Discount] = field(default_factory=list)


def digest_of(command: billing.PlaceOrder) -> bytes:
    """What makes two commands the same order: everything the person confirmed."""
    fields = (
        command.user_id,
        command.workflow_id,
        command.catalogue_version,
        command.price_credits,
        command.inputs,
        command.params,
    )
    return hashlib.blake2b(_ENCODER.encode(fields), digest_size=DIGEST_BYTES).digest()


def place(
    command: billing.PlaceOrder,
    digest: bytes,
    desk: Desk,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> Order:
    """Accept an order and hold its price, or raise the OrderRefusedError that says why not."""
    now = desk.ledger.now
    workflow = catalogue.get(command.workflow_id)
    if workflow is None:
        raise UnknownWorkflowError
    account = desk.accounts.get(command.user_id)
    if account is None:
        raise NoAccountError
    offer = prices.offer_of(workflow, desk.discounts.get(command.user_id, ()), now)
    prices.check_shown(
        command.price_credits,
        command.priced_at,
        current=offer.price,
        now=now,
        valid=terms.price_valid,
    )
    if account.in_flight >= terms.in_flight_max:
        raise InFlightCapError(limit=terms.in_flight_max)
    if desk.rooms.get(workflow.pool, 0) < 1:
        raise QueueFullError
    tier = tiers.tier_of(account, now)
    hold = _hold(command, account, desk, workflow, offer, tier, terms)
    desk.rooms[workflow.pool] -= 1
    return Order(
        command.order_id,
        command.user_id,
        command.workflow_id,
        command.catalogue_version,
        offer.price,
        digest,
        now,
        workflow.pool,
        tiers.lane_of(tier),
        now + terms.start_within,
        hold=hold,
        base_price_credits=offer.base,
        discount_percent=offer.percent,
    )


def _hold(
    command: billing.PlaceOrder,
    account: Account,
    desk: Desk,
    workflow: Workflow,
    offer: Offer,
    tier: str,
    terms: Terms,
) -> Hold:
    quota = None
    if workflow.free_per_day:
        key = (command.user_id, command.workflow_id)
        quota = desk.quotas.get(key) or Quota(*key, desk.today)
        quotas.check(quota, workflow, tier, desk.today)
    expires_at = terms.hold_expiry(workflow, desk.ledger.now)
    hold = desk.ledger.hold(account, command.order_id, offer.price, expires_at)
    if offer.discount is not None:
        offer.discount.order_id = command.order_id
        desk.discounts_used.append(offer.discount)
    if quota is not None:
        hold.quota_day = quotas.use(quota, desk.today)
        desk.quotas[key] = desk.used[key] = quota
    return hold


def refused(
    command: billing.PlaceOrder, digest: bytes, error: OrderRefusedError, now: datetime
) -> Order:
    """The record of an order that was never held: asked again, it is refused again."""
    return Order(
        command.order_id,
        command.user_id,
        command.workflow_id[:WORKFLOW_ID_MAX],
        command.catalogue_version,
        command.price_credits,
        digest,
        now,
        state=REFUSED,
        reason=error.code,
        finished_at=now,
    )


def request_cancel(order: Order, user_id: UserId) -> bool:
    """Mark it. False: that was done before. Raises NotYoursError or AlreadyFinishedError."""
    if order.user_id != user_id:
        raise NotYoursError
    if order.state not in OPEN_STATES:
        raise AlreadyFinishedError
    first = not order.cancel_requested
    order.cancel_requested = True
    return first


def complete(order: Order, outputs: bytes, account: Account, ledger: Ledger) -> bool:
    """A result came. True: the order is completed or given as a gift; False: it changes nothing.

    A result after the hold expired is a gift, unless the person had cancelled.
    """
    hold = order.hold
    if hold is None or order.gift:
        return False
    if hold.state == PENDING:
        ledger.post(account, hold)
        order.state = COMPLETED
    elif hold.state == HOLD_EXPIRED and not order.cancel_requested:
        order.gift = True
    else:
        return False
    order.outputs = outputs
    order.finished_at = ledger.now
    order.version += 1
    return True


def refund(
    order: Order,
    reason: str,
    account: Account,
    ledger: Ledger,
    quota: Quota | None,
    *,
    expired: bool = False,
) -> bool:
    """No result will come: void the hold. False: the order has ended already."""
    hold = order.hold
    if hold is None or hold.state != PENDING:
        return False
    ledger.void(account, hold, reason, expired=expired)
    if quota is not None and hold.quota_day is not None:
        quotas.give_back(quota, hold.quota_day)
    order.state = REFUNDED
    order.reason = reason
    order.finished_at = ledger.now
    order.version += 1
    return True


def is_overdue(order: Order, now: datetime) -> bool:
    """Whether its hold is to be voided for want of any answer."""
    hold = order.hold
    return hold is not None and hold.state == PENDING and hold.expires_at <= now
