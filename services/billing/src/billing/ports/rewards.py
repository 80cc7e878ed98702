"""What the handlers need to give people things: discounts, codes, draws, gifts, referrals.

Whoever changes a person's rows here holds the lock of their account. Rows of nobody's (a promo
code, a gift) are locked after all accounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from billing.domain.discounts import Discount
from billing.domain.gifts import Gift
from billing.domain.promos import Promo
from billing.domain.referrals import Reward
from chassis.database import Connection
from contracts.ids import OrderId, UserId
from contracts.money import NO_CREDITS, Credits


class Seed(NamedTuple):
    """One shop day's seed, told only when the day is over."""

    day: date
    seed: bytes
    commitment: str


class Won(NamedTuple):
    """What somebody drew on a day."""

    user_id: UserId
    day: date
    prize: str
    percent: int


class Expiring(NamedTuple):
    """A lot whose owner is to be told that it expires."""

    user_id: UserId
    kind: str
    credits: Credits
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a person's referrals have come."""

    code: str = ""
    invited: int = 0
    earned: Credits = NO_CREDITS
    pending: Credits = NO_CREDITS


class Discounts(Protocol):
    async def load(
        self, connection: Connection, user_ids: Sequence[UserId], now: datetime
    ) -> dict[UserId, list[Discount]]:
        """What each may still use."""
        ...

    async def add(
        self, connection: Connection, discounts: Sequence[Discount], now: datetime
    ) -> None: ...

    async def use(self, connection: Connection, used: Sequence[Discount]) -> None:
        """Record the orders that use these."""
        ...

    async def give_back(
        self, connection: Connection, order_ids: Sequence[OrderId], now: datetime
    ) -> None:
        """Free what these orders used, as far as it is still valid."""
        ...


class Referrals(Protocol):
    async def owner(self, connection: Connection, code: str) -> UserId | None:
        """Whose referral code this is."""
        ...

    async def join(
        self, connection: Connection, newcomer: UserId, referrer: UserId, now: datetime
    ) -> None: ...

    async def count_payments(
        self, connection: Connection, payments: Mapping[UserId, int], payments_max: int
    ) -> dict[UserId, tuple[UserId, int]]:
        """Count more payments of newcomers. Returns their referrers, and how many of these earn.

        Who is missing came by nobody's link, or had enough counted before.
        """
        ...

    async def add_rewards(self, connection: Connection, rewards: Sequence[Reward]) -> None: ...

    async def cancel(self, connection: Connection, provider: str, charge_id: str) -> bool:
        """Cancel a held reward. False: there is none, or it was credited already."""
        ...

    async def due(self, connection: Connection, now: datetime, limit: int) -> list[UserId]:
        """Referrers of held rewards that are due, oldest first."""
        ...

    async def lock_due(
        self, connection: Connection, referrers: Sequence[UserId], now: datetime, limit: int
    ) -> list[Reward]:
        """Lock what is due to these people."""
        ...

    async def credited(
        self, connection: Connection, referrers: Sequence[UserId]
    ) -> dict[UserId, Credits]:
        """What each has been credited so far."""
        ...

    async def settle(self, connection: Connection, rewards: Sequence[Reward]) -> None: ...


class Promos(Protocol):
    async def lock(self, connection: Connection, codes: Sequence[str]) -> dict[str, Promo]:
        """Lock codes, ascending; unknown ones are missing."""
        ...

    async def save(
        self, connection: Connection, promo: Promo, actor: str, now: datetime
    ) -> None: ...

    async def users(
        self, connection: Connection, pairs: Sequence[tuple[str, UserId]]
    ) -> set[tuple[str, UserId]]:
        """Which of these (code, person) have been redeemed."""
        ...

    async def payers(self, connection: Connection, user_ids: Sequence[UserId]) -> set[UserId]:
        """Who of these ever paid."""
        ...

    async def count_uses(
        self, connection: Connection, pairs: Sequence[tuple[str, UserId]], now: datetime
    ) -> None: ...

    async def misses(
        self, connection: Connection, user_ids: Sequence[UserId]
    ) -> dict[UserId, list[datetime]]:
        """When each tried unknown codes lately."""
        ...

    async def save_misses(
        self, connection: Connection, misses: Mapping[UserId, Sequence[datetime]]
    ) -> None: ...


class Draws(Protocol):
    async def ensure_day(self, connection: Connection, seed: Seed, now: datetime) -> bool:
        """Keep the seed unless the day has one. False: it had."""
        ...

    async def day(self, connection: Connection, day: date) -> Seed | None: ...

    async def won(
        self, connection: Connection, user_ids: Sequence[UserId], day: date
    ) -> dict[UserId, Won]: ...

    async def add(self, connection: Connection, draws: Sequence[Won], now: datetime) -> None: ...


class Gifts(Protocol):
    async def find(self, connection: Connection, gift_id: UUID) -> Gift | None: ...

    async def add(self, connection: Connection, gift: Gift) -> None: ...

    async def lock_codes(self, connection: Connection, codes: Sequence[str]) -> dict[str, Gift]:
        """Lock the gifts with these codes, ascending."""
        ...

    async def lock_waiting(self, connection: Connection, giver_id: UserId) -> list[Gift]:
        """Lock what somebody gave and nobody opened yet, ascending by code."""
        ...

    async def expired(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[tuple[str, UserId]]:
        """(code, giver) of gifts nobody opened in time; not locked."""
        ...

    async def settle(self, connection: Connection, gifts: Sequence[Gift]) -> None:
        """Record that waiting gifts were opened or returned."""
        ...


class Warnings(Protocol):
    async def take_expiring(
        self, connection: Connection, now: datetime, until: datetime, limit: int
    ) -> list[Expiring]:
        """Lots that expire until a moment, each returned once for ever."""
        ...


@dataclass(frozen=True, slots=True)
class Rewards:
    """The ports that share one transaction."""

    promos: Promos
    draws: Draws
    gifts: Gifts
    warnings: Warnings


class RewardReads(Protocol):
    """What people ask to see; read without locks."""

    async def standing(self, user_id: UserId, fresh_code: str) -> Standing:
        """Makes `fresh_code` theirs if they have none yet. Empty: there is no account."""
        ...

    async def commitments(self, days: Sequence[date]) -> dict[date, str]: ...

    async def seed(self, day: date) -> Seed | None: ...

    async def won(self, user_id: UserId, day: date) -> tuple[Won, bool] | None:
        """What was drawn, and whether the discount was used."""
        ...
