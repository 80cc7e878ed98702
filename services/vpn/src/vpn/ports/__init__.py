"""What the handlers and jobs need of storage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

from chassis.database import Connection
from contracts.ids import OrderId, SubscriptionId, UserId
from contracts.vpn import ExtendEverybody
from vpn.domain.access import Credentials, Given, Subscription
from vpn.domain.desired import Entry

MakeCredentials = Callable[[], Credentials]
Wake = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Wakes:
    """Whom a tick wakes after its commit."""

    check: Wake
    reconcile: Wake
    try_reconcile: Wake
    extend: Wake


@dataclass(frozen=True, slots=True)
class Grant:
    """An order that was carried out, or taken back before it was (`given` None)."""

    order_id: OrderId
    user_id: UserId
    subscription_id: SubscriptionId | None
    given: Given | None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change to what nodes hold: an entry on a set's nodes, or (None) its removal and why."""

    subscription_id: SubscriptionId
    set_id: str
    entry: Entry | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Extension:
    """Days for everybody, and how far it got."""

    command: ExtendEverybody
    asked_at: datetime
    after_id: UUID


class Person(NamedTuple):
    """What stays of somebody whatever becomes of their subscription."""

    trial_used: bool = False
    reminders: bool = True
    time_zone: str = ""


class Subscriptions(Protocol):
    """People and their one subscription each."""

    async def lock(self, connection: Connection, user_ids: Sequence[UserId]) -> None:
        """Lock people, ascending; whoever is not known yet becomes so."""
        ...

    async def lock_free(self, connection: Connection, user_ids: Sequence[UserId]) -> list[UserId]:
        """Lock those of them whom nobody else has locked; never waits, so never deadlocks."""
        ...

    async def load(
        self, connection: Connection, user_ids: Sequence[UserId]
    ) -> dict[UserId, Subscription]: ...

    async def people(
        self, connection: Connection, user_ids: Sequence[UserId]
    ) -> dict[UserId, Person]:
        """What people chose, subscription or none."""
        ...

    async def save(
        self, connection: Connection, many: Sequence[Subscription], now: datetime
    ) -> None: ...

    async def save_person(
        self,
        connection: Connection,
        user_id: UserId,
        *,
        reminders: bool | None,
        time_zone: str | None,
        language: str | None,
    ) -> None: ...

    async def due(self, connection: Connection, now: datetime, limit: int) -> list[UserId]:
        """Whose subscription has something due, the most overdue first."""
        ...

    async def owners(self, connection: Connection, ids: Collection[UUID]) -> dict[UUID, UserId]: ...

    async def of_plan_otherwise(
        self, connection: Connection, plan: str, set_id: str, devices: int, limit: int
    ) -> list[UserId]:
        """Who has the plan with other terms than these."""
        ...

    async def of_other_grace(
        self, connection: Connection, grace: timedelta, after: UserId, limit: int
    ) -> list[UserId]:
        """Whom nodes would let pass for longer or shorter than so long past the end."""
        ...


class Grants(Protocol):
    async def find(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> dict[OrderId, Grant]: ...

    async def add(self, connection: Connection, many: Sequence[Grant], now: datetime) -> None: ...

    async def change(self, connection: Connection, many: Sequence[Given]) -> None:
        """Record what was before each of these."""
        ...

    async def revoke(self, connection: Connection, order_id: OrderId, now: datetime) -> None: ...

    async def bought(self, connection: Connection, order_id: OrderId, now: datetime) -> None: ...


class DesiredSet(Protocol):
    """What nodes should hold; every change gets a generation, in the order of commits."""

    async def change(
        self, connection: Connection, wanted: Sequence[Wanted], now: datetime
    ) -> int | None:
        """Record what differs and return its generation; None: nothing differed."""
        ...

    async def rotated(
        self, connection: Connection, one: Subscription, *, link_too: bool, now: datetime
    ) -> None:
        """Remember to tell when every node confirmed the generation that is current now."""
        ...


class Extensions(Protocol):
    async def begin(self, connection: Connection, command: ExtendEverybody, now: datetime) -> bool:
        """False: this action is known."""
        ...


class NodeStates(Protocol):
    async def set_state(
        self, connection: Connection, node: str, state: str, actor: str, reason: str, now: datetime
    ) -> bool:
        """False: there is no such node."""
        ...

    async def active_regions(self, connection: Connection) -> set[str]:
        """Regions with a node that new links may name."""
        ...


@dataclass(frozen=True, slots=True)
class Books:
    """The stores a transaction works with, and whom to wake after it."""

    subscriptions: Subscriptions
    grants: Grants
    desired: DesiredSet
    extensions: Extensions
    nodes: NodeStates
    make_credentials: MakeCredentials
    wake: Wake
    """Nodes have something new to be told."""
