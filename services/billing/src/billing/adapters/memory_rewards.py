"""Discounts and referrals kept in memory: what tests with FakeBooks need of the rewards."""

# ruff: noqa: ARG002 - a stand-in has all the parameters of its port and needs few of them

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime

from billing.domain.discounts import Discount
from billing.domain.referrals import CANCELLED, CREDITED, HELD, Reward
from chassis.database import Connection
from contracts.ids import OrderId, UserId
from contracts.money import NO_CREDITS, Credits


@dataclass
class MemoryDiscounts:
    kept: dict[tuple[UserId, str], Discount] = field(default_factory=dict)

    async def load(
        self, connection: Connection, user_ids: Sequence[UserId], now: datetime
    ) -> dict[UserId, list[Discount]]:
        return {
            user_id: [
                copy(each)
                for each in self.kept.values()
                if each.user_id == user_id and each.is_usable(now)
            ]
            for user_id in user_ids
        }

    async def add(
        self, connection: Connection, discounts: Sequence[Discount], now: datetime
    ) -> None:
        for each in discounts:
            assert (each.user_id, each.key) not in self.kept
            self.kept[each.user_id, each.key] = copy(each)

    async def use(self, connection: Connection, used: Sequence[Discount]) -> None:
        for each in used:
            kept = self.kept[each.user_id, each.key]
            assert kept.order_id is None
            kept.order_id = each.order_id

    async def give_back(
        self, connection: Connection, order_ids: Sequence[OrderId], now: datetime
    ) -> None:
        for each in self.kept.values():
            if each.order_id in order_ids and each.valid_until > now:
                each.order_id = None


@dataclass
class MemoryReferrals:
    codes: dict[str, UserId] = field(default_factory=dict)
    joined: dict[UserId, UserId] = field(default_factory=dict)
    counted: dict[UserId, int] = field(default_factory=dict)
    rewards: dict[tuple[str, str], Reward] = field(default_factory=dict)

    async def owner(self, connection: Connection, code: str) -> UserId | None:
        return self.codes.get(code)

    async def join(
        self, connection: Connection, newcomer: UserId, referrer: UserId, now: datetime
    ) -> None:
        assert newcomer not in self.joined
        self.joined[newcomer] = referrer

    async def count_payments(
        self, connection: Connection, payments: Mapping[UserId, int], payments_max: int
    ) -> dict[UserId, tuple[UserId, int]]:
        found: dict[UserId, tuple[UserId, int]] = {}
        for newcomer, number in payments.items():
            earning = min(number, payments_max - self.counted.get(newcomer, 0))
            if newcomer in self.joined and earning > 0:
                self.counted[newcomer] = self.counted.get(newcomer, 0) + earning
                found[newcomer] = self.joined[newcomer], earning
        return found

    async def add_rewards(self, connection: Connection, rewards: Sequence[Reward]) -> None:
        for reward in rewards:
            key = reward.provider, reward.charge_id
            assert key not in self.rewards
            self.rewards[key] = copy(reward)

    async def cancel(self, connection: Connection, provider: str, charge_id: str) -> bool:
        reward = self.rewards.get((provider, charge_id))
        if reward is None or reward.state != HELD:
            return False
        reward.state = CANCELLED
        return True

    async def due(self, connection: Connection, now: datetime, limit: int) -> list[UserId]:
        return [reward.referrer_id for reward in self._due(now)[:limit]]

    async def lock_due(
        self, connection: Connection, referrers: Sequence[UserId], now: datetime, limit: int
    ) -> list[Reward]:
        found = [copy(each) for each in self._due(now) if each.referrer_id in referrers]
        return found[:limit]

    async def credited(
        self, connection: Connection, referrers: Sequence[UserId]
    ) -> dict[UserId, Credits]:
        sums: dict[UserId, Credits] = {}
        for each in self.rewards.values():
            if each.state == CREDITED and each.referrer_id in referrers:
                before = sums.get(each.referrer_id, NO_CREDITS)
                sums[each.referrer_id] = Credits(before + each.credits)
        return sums

    async def settle(self, connection: Connection, rewards: Sequence[Reward]) -> None:
        for each in rewards:
            assert self.rewards[each.provider, each.charge_id].state == HELD
            self.rewards[each.provider, each.charge_id] = copy(each)

    def _due(self, now: datetime) -> list[Reward]:
        held = [each for each in self.rewards.values() if each.state == HELD and each.due_at <= now]
        return sorted(held, key=lambda each: each.due_at)
