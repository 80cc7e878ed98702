"""What the handlers need of the world: the books in the database, and room in the queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from billing.domain.accounts import Account, Hold, TierStep
from billing.domain.audit import AuditReport
from billing.domain.chain import Head
from billing.domain.discounts import Discount
from billing.domain.history import Entry, Gain
from billing.domain.ledger import Ledger
from billing.domain.orders import Order
from billing.domain.quotas import Quota
from billing.ports.access import AccessGrants
from billing.ports.rewards import Discounts, Referrals
from chassis.database import Connection
from contracts import billing
from contracts.ids import OrderId, UserId
from contracts.money import Credits

Due = tuple[Order, datetime | None]
"""An order that ended, and when its delivery is to be asked for unless it is confirmed."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits added for one named reason."""

    key: str
    user_id: UserId
    kind: str
    credits: Credits
    expires_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A result whose delivery nobody confirmed."""

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    charged_credits: Credits
    gift: bool
    outputs: bytes
    asked: int
    traceparent: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where an order stands in its pool's queue; counts by workflow."""

    state: str
    pool: str = ""
    ahead: tuple[tuple[str, int], ...] = ()
    running: tuple[tuple[str, int], ...] = ()


class Accounts(Protocol):
    """People's accounts and lots. What is loaded to be changed was locked before."""

    async def lock(self, connection: Connection, user_ids: Sequence[UserId]) -> None:
        """Lock accounts, ascending. Unknown people are skipped."""
        ...

    async def load(
        self,
        connection: Connection,
        user_ids: Sequence[UserId],
        lots: Sequence[int] = (),
        *,
        spendable: bool = True,
    ) -> dict[UserId, Account]:
        """Accounts with lots so numbered and, if `spendable`, all that hold something or trial.

        Without those an account can be given credits, but nothing may be taken of it.
        """
        ...

    async def open(
        self, connection: Connection, user_id: UserId, deep_link: str, now: datetime
    ) -> bool:
        """Make an empty account. False: it was there."""
        ...

    async def save(self, connection: Connection, ledger: Ledger) -> None:
        """Record a sitting: accounts, lots, transfers."""
        ...

    async def save_tier(
        self, connection: Connection, account: Account, command: billing.SetTier, now: datetime
    ) -> None:
        """Record a tier with its reason and actor."""
        ...

    async def lock_due_trials(
        self, connection: Connection, now: datetime, limit: int, seen: Sequence[UserId] = ()
    ) -> list[UserId]:
        """Lock accounts whose trial is due, oldest first, those `seen` before left out."""
        ...

    async def expired_lots(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[tuple[UserId, int]]:
        """Open lots whose time has passed: (user id, lot number)."""
        ...


class Orders(Protocol):
    """Orders and their holds."""

    async def digests(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> dict[OrderId, bytes]:
        """The ids that are used already, with the digest of their business fields."""
        ...

    async def add(self, connection: Connection, orders: Sequence[Order], now: datetime) -> None:
        """Record newly decided orders and the holds of those accepted."""
        ...

    async def load(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> dict[OrderId, Order]: ...

    async def end(
        self, connection: Connection, ended: Sequence[Due], holds: Sequence[Hold], now: datetime
    ) -> None:
        """Record ends. `holds` are those that were pending until now: each ends once."""
        ...

    async def request_cancels(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> None: ...

    async def start(
        self, connection: Connection, starts: Sequence[tuple[OrderId, str, datetime]]
    ) -> list[tuple[str, str]]:
        """Mark accepted orders as running. Returns (pool, server) of those."""
        ...

    async def record_deliveries(
        self, connection: Connection, told: Sequence[tuple[OrderId, int, str]], now: datetime
    ) -> None:
        """(order, message id or 0, reason or empty)."""
        ...

    async def overdue(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[tuple[OrderId, UserId]]:
        """Orders whose hold expired unanswered, and whose they are."""
        ...

    async def pending_holds(
        self, connection: Connection, user_ids: Sequence[UserId]
    ) -> list[Hold]: ...

    async def lock_undelivered(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[Undelivered]: ...

    async def postpone(
        self, connection: Connection, due: Sequence[tuple[OrderId, datetime]]
    ) -> None:
        """Count one more request to deliver, and when the next is due."""
        ...


class Quotas(Protocol):
    """Free orders used, per person and workflow."""

    async def load(
        self, connection: Connection, keys: Sequence[tuple[UserId, str]]
    ) -> dict[tuple[UserId, str], Quota]: ...

    async def save(self, connection: Connection, quotas: Sequence[Quota]) -> None: ...


class Grants(Protocol):
    """Grants by their key."""

    async def find(self, connection: Connection, keys: Sequence[str]) -> dict[str, Grant]: ...

    async def add(
        self,
        connection: Connection,
        grants: Sequence[tuple[Grant, int, str]],
        now: datetime,
    ) -> None:
        """(grant, lot number, actor)."""
        ...


class TierSteps(Protocol):
    """What gave or set a person's tier: it follows from those steps that still count."""

    async def load(self, connection: Connection, user_id: UserId) -> list[TierStep]:
        """The oldest first."""
        ...

    async def save(self, connection: Connection, account: Account) -> None:
        """Add the account's new steps, and note which of the others count no more."""
        ...


class Reads(Protocol):
    """What people ask to see; read without locks."""

    async def account(self, user_id: UserId) -> Account | None: ...

    async def spent_since(self, user_id: UserId, since: datetime) -> Credits:
        """What a person's orders cost them since a moment."""
        ...

    async def quota_used(self, user_id: UserId, workflow_id: str, day: date) -> int: ...

    async def entries(self, user_id: UserId, before: int, limit: int) -> list[Entry]:
        """Transfers numbered below `before`, newest first."""
        ...

    async def gains(self, user_id: UserId, before: datetime, limit: int) -> list[Gain]:
        """Status and discounts that came or went before a moment, newest first."""
        ...

    async def discounts(self, user_id: UserId, now: datetime) -> list[Discount]:
        """What a person may use on their next order."""
        ...

    async def place(self, order_id: OrderId) -> Place | None: ...


class Auditor(Protocol):
    async def audit(self) -> AuditReport: ...


class SealHeads(Protocol):
    """The head of the ledger's hash chain: here, and as it stands outside the database."""

    async def head(self) -> Head: ...

    async def kept(self) -> Head: ...

    async def forget(self, number: int) -> bool:
        """Forget the one outside if it has this number; whether it had."""
        ...


class Queues(Protocol):
    """How full the pools' queues are, as last sampled."""

    @property
    def sampled(self) -> bool: ...

    def rooms(self) -> dict[str, int]:
        """How many more jobs each pool takes now; 0: full. Raises TransientError unsampled."""
        ...

    def taken(self, pool: str, jobs: int) -> None:
        """Jobs added since the sample."""
        ...


@dataclass(frozen=True, slots=True)
class Books:
    """The ports that share one transaction."""

    accounts: Accounts
    orders: Orders
    quotas: Quotas
    grants: Grants
    discounts: Discounts
    referrals: Referrals
    tier_steps: TierSteps
    access: AccessGrants
