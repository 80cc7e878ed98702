"""Promo codes, draws, gifts, referrals and discounts in Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from billing.adapters.queries import read
from billing.domain.discounts import Discount
from billing.domain.gifts import Gift
from billing.domain.promos import Promo
from billing.domain.referrals import Reward
from billing.ports.rewards import Expiring, Rewards, Seed, Standing, Won
from chassis.database import Connection, Database
from chassis.errors import TransientError
from contracts.ids import OrderId, UserId
from contracts.money import Credits

SQL = read(Path(__file__).with_name("rewards.sql"))


class CodeTakenError(TransientError):
    """A fresh referral code is somebody's already: another one will do."""


class PostgresDiscounts:
    async def load(
        self, connection: Connection, user_ids: Sequence[UserId], now: datetime
    ) -> dict[UserId, list[Discount]]:
        found: dict[UserId, list[Discount]] = {}
        for row in await connection.fetch(SQL["load_discounts"], user_ids, now):
            found.setdefault(row["user_id"], []).append(Discount(*row))
        return found

    async def add(
        self, connection: Connection, discounts: Sequence[Discount], now: datetime
    ) -> None:
        if discounts:
            await connection.execute(
                SQL["add_discounts"],
                now,
                [each.user_id for each in discounts],
                [each.key for each in discounts],
                [each.percent for each in discounts],
                [each.valid_until for each in discounts],
            )

    async def use(self, connection: Connection, used: Sequence[Discount]) -> None:
        if used:
            status = await connection.execute(
                SQL["use_discounts"],
                [each.user_id for each in used],
                [each.key for each in used],
                [each.order_id for each in used],
            )
            assert status == f"UPDATE {len(used)}", "a discount was used without the lock"

    async def give_back(
        self, connection: Connection, order_ids: Sequence[OrderId], now: datetime
    ) -> None:
        if order_ids:
            await connection.execute(SQL["give_back_discounts"], order_ids, now)


class PostgresReferrals:
    async def owner(self, connection: Connection, code: str) -> UserId | None:
        owner: UserId | None = await connection.fetchval(SQL["find_referrer"], code)
        return owner

    async def join(
        self, connection: Connection, newcomer: UserId, referrer: UserId, now: datetime
    ) -> None:
        await connection.execute(SQL["add_referral"], newcomer, referrer, now)

    async def count_payments(
        self, connection: Connection, payments: Mapping[UserId, int], payments_max: int
    ) -> dict[UserId, tuple[UserId, int]]:
        rows = await connection.fetch(
            SQL["count_referred_payments"], list(payments), list(payments.values()), payments_max
        )
        return {row["newcomer_id"]: (row["referrer_id"], row["earning"]) for row in rows}

    async def add_rewards(self, connection: Connection, rewards: Sequence[Reward]) -> None:
        if rewards:
            await connection.execute(
                SQL["add_rewards"],
                [reward.provider for reward in rewards],
                [reward.charge_id for reward in rewards],
                [reward.referrer_id for reward in rewards],
                [reward.newcomer_id for reward in rewards],
                [reward.credits for reward in rewards],
                [reward.due_at for reward in rewards],
            )

    async def cancel(self, connection: Connection, provider: str, charge_id: str) -> bool:
        found = await connection.fetchval(SQL["cancel_reward"], provider, charge_id)
        return found is not None

    async def due(self, connection: Connection, now: datetime, limit: int) -> list[UserId]:
        rows = await connection.fetch(SQL["due_rewards"], now, limit)
        return [row["referrer_id"] for row in rows]

    async def lock_due(
        self, connection: Connection, referrers: Sequence[UserId], now: datetime, limit: int
    ) -> list[Reward]:
        rows = await connection.fetch(SQL["lock_due_rewards"], referrers, now, limit)
        return [Reward(*row) for row in rows]

    async def credited(
        self, connection: Connection, referrers: Sequence[UserId]
    ) -> dict[UserId, Credits]:
        return dict(await connection.fetch(SQL["credited_rewards"], referrers))

    async def settle(self, connection: Connection, rewards: Sequence[Reward]) -> None:
        status = await connection.execute(
            SQL["settle_rewards"],
            [reward.provider for reward in rewards],
            [reward.charge_id for reward in rewards],
            [reward.state for reward in rewards],
            [reward.credits for reward in rewards],
        )
        assert status == f"UPDATE {len(rewards)}", "a reward was settled without the lock"


class PostgresPromos:
    async def lock(self, connection: Connection, codes: Sequence[str]) -> dict[str, Promo]:
        rows = await connection.fetch(SQL["lock_promos"], codes)
        return {row["code"]: Promo(*row) for row in rows}

    async def save(self, connection: Connection, promo: Promo, actor: str, now: datetime) -> None:
        await connection.execute(
            SQL["save_promo"],
            promo.code,
            promo.kind,
            promo.value,
            promo.tier,
            promo.uses_max,
            promo.newcomers_only,
            promo.lot_days,
            promo.starts_at,
            promo.ends_at,
            actor,
            now,
        )
        detail = {
            "kind": promo.kind,
            "value": promo.value,
            "tier": promo.tier,
            "uses_max": promo.uses_max,
            "newcomers_only": promo.newcomers_only,
            "lot_days": promo.lot_days,
            "starts_at": promo.starts_at,
            "ends_at": promo.ends_at,
        }
        await connection.execute(SQL["record_operator_action"], actor, promo.code, detail, now)

    async def users(
        self, connection: Connection, pairs: Sequence[tuple[str, UserId]]
    ) -> set[tuple[str, UserId]]:
        if not pairs:
            return set()
        rows = await connection.fetch(SQL["find_promo_uses"], *_columns(pairs))
        return {(row["code"], row["user_id"]) for row in rows}

    async def payers(self, connection: Connection, user_ids: Sequence[UserId]) -> set[UserId]:
        rows = await connection.fetch(SQL["find_payers"], user_ids)
        return {row["user_id"] for row in rows}

    async def count_uses(
        self, connection: Connection, pairs: Sequence[tuple[str, UserId]], now: datetime
    ) -> None:
        if pairs:
            await connection.execute(SQL["add_promo_uses"], now, *_columns(pairs))
            await connection.execute(SQL["count_promo_uses"], [code for code, _ in pairs])

    async def misses(
        self, connection: Connection, user_ids: Sequence[UserId]
    ) -> dict[UserId, list[datetime]]:
        return dict(await connection.fetch(SQL["load_promo_misses"], user_ids))

    async def save_misses(
        self, connection: Connection, misses: Mapping[UserId, Sequence[datetime]]
    ) -> None:
        if misses:
            await connection.executemany(SQL["save_promo_misses"], list(misses.items()))


class PostgresDraws:
    async def ensure_day(self, connection: Connection, seed: Seed, now: datetime) -> bool:
        made = await connection.fetchval(SQL["ensure_draw_day"], *seed, now)
        return made is not None

    async def day(self, connection: Connection, day: date) -> Seed | None:
        row = await connection.fetchrow(SQL["read_draw_day"], day)
        return Seed(*row) if row is not None else None

    async def won(
        self, connection: Connection, user_ids: Sequence[UserId], day: date
    ) -> dict[UserId, Won]:
        rows = await connection.fetch(SQL["find_draws"], user_ids, day)
        return {row["user_id"]: Won(*row) for row in rows}

    async def add(self, connection: Connection, draws: Sequence[Won], now: datetime) -> None:
        if draws:
            await connection.execute(SQL["add_draws"], now, *_columns(draws))


class PostgresGifts:
    async def find(self, connection: Connection, gift_id: UUID) -> Gift | None:
        row = await connection.fetchrow(SQL["find_gift"], gift_id)
        return _gift(row) if row is not None else None

    async def add(self, connection: Connection, gift: Gift) -> None:
        await connection.execute(
            SQL["add_gift"],
            gift.gift_id,
            gift.code,
            gift.giver_id,
            gift.credits,
            gift.parts,
            gift.made_at,
            gift.expires_at,
        )

    async def lock_codes(self, connection: Connection, codes: Sequence[str]) -> dict[str, Gift]:
        rows = await connection.fetch(SQL["lock_gifts"], codes)
        return {row["code"]: _gift(row) for row in rows}

    async def lock_waiting(self, connection: Connection, giver_id: UserId) -> list[Gift]:
        rows = await connection.fetch(SQL["lock_waiting_gifts"], giver_id)
        return [_gift(row) for row in rows]

    async def expired(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[tuple[str, UserId]]:
        rows = await connection.fetch(SQL["expired_gifts"], now, limit)
        return [(row["code"], row["giver_id"]) for row in rows]

    async def settle(self, connection: Connection, gifts: Sequence[Gift]) -> None:
        if gifts:
            status = await connection.execute(
                SQL["settle_gifts"],
                [gift.gift_id for gift in gifts],
                [gift.state for gift in gifts],
                [gift.opened_by for gift in gifts],
            )
            assert status == f"UPDATE {len(gifts)}", "a gift was settled without the lock"


class PostgresWarnings:
    async def take_expiring(
        self, connection: Connection, now: datetime, until: datetime, limit: int
    ) -> list[Expiring]:
        rows = await connection.fetch(SQL["take_expiring_lots"], now, until, limit)
        return [Expiring(*row) for row in rows]


def postgres_rewards() -> Rewards:
    return Rewards(PostgresPromos(), PostgresDraws(), PostgresGifts(), PostgresWarnings())


class PostgresRewardReads:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, user_id: UserId, fresh_code: str) -> Standing:
        async with self._database.read() as connection:
            row = await connection.fetchrow(SQL["read_standing"], user_id)
            if row is None:
                return Standing()
            code = row["referral_code"]
            if code is None:
                code = await self._make_code(connection, user_id, fresh_code)
        return Standing(code, row["invited"], row["earned"], row["pending"])

    async def _make_code(self, connection: Connection, user_id: UserId, fresh_code: str) -> str:
        try:
            made: str | None = await connection.fetchval(
                SQL["make_referral_code"], user_id, fresh_code
            )
        except asyncpg.UniqueViolationError as error:
            raise CodeTakenError("the code is taken") from error
        if made is None:  # asked twice at once: the other answer made it
            row = await connection.fetchrow(SQL["read_standing"], user_id)
            assert row is not None
            made = row["referral_code"]
        assert made is not None
        return made

    async def commitments(self, days: Sequence[date]) -> dict[date, str]:
        async with self._database.read() as connection:
            return dict(await connection.fetch(SQL["read_commitments"], days))

    async def seed(self, day: date) -> Seed | None:
        async with self._database.read() as connection:
            return await PostgresDraws().day(connection, day)

    async def won(self, user_id: UserId, day: date) -> tuple[Won, bool] | None:
        async with self._database.read() as connection:
            row = await connection.fetchrow(SQL["read_draw"], user_id, day)
        if row is None:
            return None
        *won, used = row
        return Won(*won), used


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _gift(row: Any) -> Gift:
    parts = tuple((number, amount) for number, amount in row["parts"])
    return Gift(
        row["gift_id"],
        row["code"],
        row["giver_id"],
        row["credits"],
        parts,
        row["made_at"],
        row["expires_at"],
        row["state"],
        row["opened_by"],
    )
