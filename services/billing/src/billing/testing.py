"""Stand-ins for billing's ports that keep everything in memory, and makers of test data."""

# ruff: noqa: ARG002 - a stand-in has all the parameters of its port and needs few of them

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from billing.adapters.memory_rewards import MemoryDiscounts, MemoryReferrals
from billing.domain.accounts import PENDING, Account, Hold, TierStep, Transfer
from billing.domain.ledger import Ledger
from billing.domain.lots import OPEN
from billing.domain.orders import ACCEPTED, RUNNING, Order
from billing.domain.quotas import Quota
from billing.ports import Books, Due, Grant, Undelivered
from billing.ports.access import AccessGrant
from chassis.clock import new_id
from chassis.consumers import Received
from chassis.database import Connection
from contracts.billing import PlaceOrder, SetTier
from contracts.catalogue import OutputSpec, Workflow
from contracts.envelope import Headers, Message
from contracts.ids import MessageId, OrderId, UserId
from contracts.money import NO_CREDITS, Credits

M = TypeVar("M", bound=Message)

PRODUCT_SCENE = Workflow(
    id="image.product_scene",
    version=1,
    pool="image",
    title_key="title",
    description_key="about",
    price_credits=Credits(10),
    deadline_seconds=120,
    expected_seconds=8,
    outputs=(OutputSpec(node="9", kind="image"),),
)
ENHANCE = Workflow(
    id="image.enhance",
    version=1,
    pool="image",
    title_key="title",
    description_key="about",
    price_credits=NO_CREDITS,
    free_per_day=5,
    unlimited_tiers=("vip", "black_gold"),
    deadline_seconds=120,
    expected_seconds=4,
    outputs=(OutputSpec(node="9", kind="image"),),
)
ORBIT = Workflow(
    id="video.orbit",
    version=1,
    pool="video",
    title_key="title",
    description_key="about",
    price_credits=Credits(30),
    deadline_seconds=300,
    expected_seconds=40,
    outputs=(OutputSpec(node="9", kind="video"),),
)
WORKFLOWS = {workflow.id: workflow for workflow in (PRODUCT_SCENE, ENHANCE, ORBIT)}


def order_of(
    user_id: UserId,
    now: datetime,
    *,
    workflow: Workflow = PRODUCT_SCENE,
    order_id: OrderId | None = None,
    price_credits: Credits | None = None,
    shown: timedelta = timedelta(),
) -> PlaceOrder:
    """A confirm tap, by default for a price shown just now and right."""
    return PlaceOrder(
        order_id=order_id or OrderId(new_id()),
        user_id=user_id,
        workflow_id=workflow.id,
        catalogue_version=workflow.version,
        price_credits=workflow.price_credits if price_credits is None else price_credits,
        priced_at=now - shown,
    )


def received(message: M, *, message_id: UUID | None = None, traceparent: str = "") -> Received[M]:
    """A message as the consumer hands it to a batch handler."""
    headers = Headers(id=MessageId(message_id or new_id()), traceparent=traceparent)
    return Received(message, headers, message.subject, 1)


class FakeQueues:
    """Queues with as much room as they are told."""

    sampled = True

    def __init__(self, room: int = 1_000_000) -> None:
        self._rooms = {"image": room, "video": room, "hosted": room}

    def rooms(self) -> dict[str, int]:
        return dict(self._rooms)

    def taken(self, pool: str, jobs: int) -> None:
        self._rooms[pool] -= jobs


@dataclass
class Tables:
    """What the fakes share; a deep copy of it is a database that crashed at that point."""

    accounts: dict[UserId, Account] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    orders: dict[OrderId, Order] = field(default_factory=dict)
    deliveries: dict[OrderId, dict[str, Any]] = field(default_factory=dict)
    quotas: dict[tuple[UserId, str], Quota] = field(default_factory=dict)
    grants: dict[str, tuple[Grant, int, str]] = field(default_factory=dict)
    discounts: MemoryDiscounts = field(default_factory=MemoryDiscounts)
    referrals: MemoryReferrals = field(default_factory=MemoryReferrals)
    tier_steps: dict[tuple[UserId, int], TierStep] = field(default_factory=dict)
    access: dict[OrderId, AccessGrant] = field(default_factory=dict)


def fake_books(tables: Tables) -> Books:
    return Books(
        FakeAccounts(tables),
        FakeOrders(tables),
        FakeQuotas(tables),
        FakeGrants(tables),
        tables.discounts,
        tables.referrals,
        FakeTierSteps(tables),
        FakeAccessGrants(tables),
    )


class FakeAccounts:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def lock(self, connection: Connection, user_ids: Sequence[UserId]) -> None:
        """One test uses the fakes from one task: nobody else is there."""

    async def load(
        self,
        connection: Connection,
        user_ids: Sequence[UserId],
        lots: Sequence[int] = (),
        *,
        spendable: bool = True,
    ) -> dict[UserId, Account]:
        found = {
            user_id: deepcopy(self._tables.accounts[user_id])
            for user_id in user_ids
            if user_id in self._tables.accounts
        }
        for account in found.values():
            account.lots = {
                number: lot
                for number, lot in account.lots.items()
                if number in lots or (spendable and (lot.remaining or lot.kind == "trial"))
            }
        return found

    async def open(
        self, connection: Connection, user_id: UserId, deep_link: str, now: datetime
    ) -> bool:
        if user_id in self._tables.accounts:
            return False
        self._tables.accounts[user_id] = Account(user_id)
        return True

    async def save(self, connection: Connection, ledger: Ledger) -> None:
        for user_id, account in ledger.accounts.items():
            kept = self._tables.accounts[user_id]
            lots = {**kept.lots}
            self._tables.accounts[user_id] = replace(
                account,
                tier=kept.tier,
                tier_until=kept.tier_until,
                tier_version=kept.tier_version,
                lots=lots,
            )
        for (user_id, number), lot in ledger.lots.items():
            self._tables.accounts[user_id].lots[number] = deepcopy(lot)
        self._tables.transfers += ledger.transfers

    async def save_tier(
        self, connection: Connection, account: Account, command: SetTier, now: datetime
    ) -> None:
        kept = self._tables.accounts[account.user_id]
        kept.tier, kept.tier_until = account.tier, account.tier_until
        kept.tier_version = account.tier_version

    async def lock_due_trials(
        self, connection: Connection, now: datetime, limit: int, seen: Sequence[UserId] = ()
    ) -> list[UserId]:
        due = [
            (account.trial_renews_at, account.user_id)
            for account in self._tables.accounts.values()
            if account.trial_renews_at is not None
            and account.trial_renews_at <= now
            and account.user_id not in seen
        ]
        return [user_id for _, user_id in sorted(due)[:limit]]

    async def expired_lots(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[tuple[UserId, int]]:
        found = [
            (lot.expires_at, user_id, lot.number)
            for user_id, account in self._tables.accounts.items()
            for lot in account.lots.values()
            if lot.state == OPEN and lot.expires_at is not None and lot.expires_at <= now
        ]
        return [(user_id, number) for _, user_id, number in sorted(found)[:limit]]


class FakeOrders:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def digests(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> dict[OrderId, bytes]:
        kept = self._tables.orders
        return {each: kept[each].digest for each in order_ids if each in kept}

    async def add(self, connection: Connection, orders: Sequence[Order], now: datetime) -> None:
        for order in orders:
            assert order.order_id not in self._tables.orders
            self._tables.orders[order.order_id] = deepcopy(order)

    async def load(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> dict[OrderId, Order]:
        kept = self._tables.orders
        return {each: deepcopy(kept[each]) for each in order_ids if each in kept}

    async def end(
        self, connection: Connection, ended: Sequence[Due], holds: Sequence[Hold], now: datetime
    ) -> None:
        for hold in holds:
            kept = self._tables.orders[hold.order_id].hold
            assert kept is not None
            assert kept.state == PENDING
        for order, due_at in ended:
            self._tables.orders[order.order_id] = deepcopy(order)
            self._tables.deliveries[order.order_id] = {"due_at": due_at, "asked": 0}

    async def request_cancels(self, connection: Connection, order_ids: Sequence[OrderId]) -> None:
        for order_id in order_ids:
            self._tables.orders[order_id].cancel_requested = True

    async def start(
        self, connection: Connection, starts: Sequence[tuple[OrderId, str, datetime]]
    ) -> list[tuple[str, str]]:
        started = []
        for order_id, server, _ in starts:
            order = self._tables.orders.get(order_id)
            if order is not None and order.state == ACCEPTED:
                order.state = RUNNING
                started.append((order.pool, server))
        return started

    async def record_deliveries(
        self, connection: Connection, told: Sequence[tuple[OrderId, int, str]], now: datetime
    ) -> None:
        for order_id, message_id, reason in told:
            kept = self._tables.deliveries.get(order_id)
            if kept is None or not self._tables.orders[order_id].outputs:
                continue
            if "at" not in kept or (not kept["message_id"] and message_id):
                kept.update(at=now, message_id=message_id, reason=reason, due_at=None)

    async def overdue(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[tuple[OrderId, UserId]]:
        found = [
            (order.hold.expires_at, order.order_id, order.user_id)
            for order in self._tables.orders.values()
            if order.hold is not None
            and order.hold.state == PENDING
            and order.hold.expires_at <= now
        ]
        return [(order_id, user_id) for _, order_id, user_id in sorted(found)[:limit]]

    async def pending_holds(self, connection: Connection, user_ids: Sequence[UserId]) -> list[Hold]:
        return [
            deepcopy(order.hold)
            for order in self._tables.orders.values()
            if order.hold is not None and order.hold.state == PENDING and order.user_id in user_ids
        ]

    async def lock_undelivered(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[Undelivered]:
        found = [
            (kept["due_at"], self._tables.orders[order_id], kept["asked"])
            for order_id, kept in self._tables.deliveries.items()
            if kept["due_at"] is not None and kept["due_at"] <= now
        ]
        found.sort(key=lambda each: each[0])
        return [
            Undelivered(
                order.order_id,
                order.user_id,
                order.workflow_id,
                NO_CREDITS if order.gift else order.price_credits,
                order.gift,
                order.outputs,
                asked,
                order.traceparent,
            )
            for _, order, asked in found[:limit]
        ]

    async def postpone(
        self, connection: Connection, due: Sequence[tuple[OrderId, datetime]]
    ) -> None:
        for order_id, due_at in due:
            kept = self._tables.deliveries[order_id]
            kept.update(due_at=due_at, asked=kept["asked"] + 1)


class FakeQuotas:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def load(
        self, connection: Connection, keys: Sequence[tuple[UserId, str]]
    ) -> dict[tuple[UserId, str], Quota]:
        kept = self._tables.quotas
        return {key: deepcopy(kept[key]) for key in keys if key in kept}

    async def save(self, connection: Connection, quotas: Sequence[Quota]) -> None:
        for quota in quotas:
            self._tables.quotas[quota.user_id, quota.workflow_id] = deepcopy(quota)


class FakeGrants:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def find(self, connection: Connection, keys: Sequence[str]) -> dict[str, Grant]:
        return {key: self._tables.grants[key][0] for key in keys if key in self._tables.grants}

    async def add(
        self, connection: Connection, grants: Sequence[tuple[Grant, int, str]], now: datetime
    ) -> None:
        for each in grants:
            assert each[0].key not in self._tables.grants
            self._tables.grants[each[0].key] = each


class FakeTierSteps:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def load(self, connection: Connection, user_id: UserId) -> list[TierStep]:
        kept = self._tables.tier_steps
        return [deepcopy(kept[key]) for key in sorted(kept) if key[0] == user_id]

    async def save(self, connection: Connection, account: Account) -> None:
        for step in account.steps:
            self._tables.tier_steps[account.user_id, step.version] = deepcopy(step)


class FakeAccessGrants:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(
        self, connection: Connection, grants: Sequence[AccessGrant], now: datetime
    ) -> None:
        for grant in grants:
            self._tables.access.setdefault(grant.order_id, grant)

    async def revoke(self, connection: Connection, order_id: OrderId, now: datetime) -> None:
        kept = self._tables.access
        kept[order_id] = replace(kept[order_id], revoked=True)
