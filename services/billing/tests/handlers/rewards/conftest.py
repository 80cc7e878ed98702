"""What people are given, asked for the way the consumer and the gateway do; on a real Postgres."""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from billing.adapters.audit import audit
from billing.adapters.postgres_rewards import PostgresRewardReads, postgres_rewards
from billing.domain.charges import Charge
from billing.handlers.credit_referrals import credit_referrals
from billing.handlers.get_draw_proof import get_draw_proof
from billing.handlers.get_rewards import get_rewards
from billing.handlers.make_gift import make_gifts
from billing.handlers.open_account import open_account
from billing.handlers.open_gift import open_gifts
from billing.handlers.redeem_promo import redeem_promos
from billing.handlers.referral_rewards import cancel_reward, charge_credited
from billing.handlers.return_gifts import return_gifts
from billing.handlers.save_promo import save_promos
from billing.handlers.take_draw import make_draw_days, take_draws
from billing.handlers.warn_expiring import warn_expiring
from billing.main import SCHEMA
from chassis.clock import new_id
from chassis.database import Database
from chassis.testing import FakeClock
from contracts import billing, rewards
from contracts.envelope import contracts_of

EVENTS = contracts_of(billing, rewards)


class Giving:
    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.rewards = postgres_rewards()
        self.reads = PostgresRewardReads(desk.database)
        self.broken: set[str] = set()
        """Checks of the audit the test itself breaks."""
        # Shorter than in the shop: the outbox of the tests has partitions for a few days.
        self.change("gift", valid=timedelta(days=1))
        self.change("referral", hold=timedelta(days=1))

    def at(self, now: datetime) -> "Giving":
        """Another replica, whose clock says something else."""
        desk = self.desk
        return Giving(type(desk)(desk.books, FakeClock(now), desk.database))

    @property
    def terms(self) -> Any:
        return self.desk.terms

    def change(self, part: str, **fields: Any) -> None:
        """Other terms for one part of the rewards."""
        given = self.terms.rewards
        changed = replace(given, **{part: replace(getattr(given, part), **fields)})
        self.desk.terms = replace(self.terms, rewards=changed)

    async def _batch(self, handler: Any, *messages: Any, **parts: Any) -> list[Any]:
        return await self.desk.batch(handler, *messages, rewards=self.rewards, **parts)

    async def save_promo(self, **fields: Any) -> list[Any]:
        values = {"code": "AUTUMN", "kind": "credits", "value": 5, "actor": "op", **fields}
        return await self._batch(save_promos, rewards.SavePromo(**values))

    async def redeem(self, *users: int, code: str = "autumn") -> list[Any]:
        return await self.redeem_pairs(*((user, code) for user in users))

    async def redeem_pairs(self, *pairs: tuple[int, str]) -> list[Any]:
        commands = [rewards.RedeemPromo(user_id=user, code=code) for user, code in pairs]
        return await self._batch(redeem_promos, *commands, books=self.desk.books, terms=self.terms)

    async def draw(self, *users: int, days: Any = None) -> list[Any]:
        """`days`: the one each of them saw."""
        seen = days or [None] * len(users)
        commands = [
            rewards.TakeDraw(user_id=user, day=day) for user, day in zip(users, seen, strict=True)
        ]
        return await self._batch(take_draws, *commands, books=self.desk.books, terms=self.terms)

    async def make_days(self) -> int:
        async with self.desk.begin() as uow:
            return await make_draw_days(uow, rewards=self.rewards, terms=self.terms)

    async def give(self, user: int, amount: int, **fields: Any) -> Any:
        values = {"gift_id": new_id(), "user_id": user, "credits": amount, **fields}
        command = rewards.MakeGift(**values)
        (told,) = await self._batch(
            make_gifts, command, books=self.desk.books, terms=self.terms
        ) or [None]
        return told

    async def open(self, user: int, code: str) -> Any:
        command = rewards.OpenGift(user_id=user, code=code)
        (told,) = await self._batch(open_gifts, command, books=self.desk.books)
        return told

    async def sweep(self, handler: Any, **parts: Any) -> list[Any]:
        async with self.desk.begin() as uow:
            await handler(uow, **parts)
        return [EVENTS[row.subject].decode(row.body) for row in uow.rows]

    async def return_gifts(self) -> list[Any]:
        return await self.sweep(
            return_gifts, books=self.desk.books, rewards=self.rewards, terms=self.terms
        )

    async def credit_referrals(self) -> list[Any]:
        return await self.sweep(credit_referrals, books=self.desk.books, terms=self.terms)

    async def warn(self) -> list[Any]:
        return await self.sweep(warn_expiring, rewards=self.rewards, terms=self.terms)

    async def arrive(self, user: int, link: str) -> list[Any]:
        command = billing.OpenAccount(user_id=user, deep_link=link)
        return await self.sweep(
            lambda uow: open_account(command, uow, books=self.desk.books, terms=self.terms)
        )

    async def pay(self, user: int, amount: int, charge: str = "c1") -> None:
        await self.pay_all((user, amount, charge))

    async def pay_all(self, *paid: tuple[int, int, str]) -> None:
        """What the crediting of charges (user, credits, id) does for the referrers."""
        async with self.desk.begin() as uow:
            users = sorted({user for user, _, _ in paid})
            await self.desk.books.accounts.lock(uow.connection, users)
            charges = [
                Charge("stars", charge, None, user, "", 1, "XTR", uow.now, "paid", credits=amount)
                for user, amount, charge in paid
            ]
            terms = self.terms.rewards.referral
            await charge_credited(uow, *charges, store=self.desk.books.referrals, terms=terms)

    async def unpay(self, charge: str = "c1") -> None:
        async with self.desk.begin() as uow:
            await cancel_reward(uow, self.desk.books.referrals, provider="stars", charge_id=charge)

    async def shown(self, user: int) -> rewards.Rewards:
        return await get_rewards(
            rewards.GetRewards(user_id=user),
            reads=self.reads,
            clock=self.desk.clock,
            terms=self.terms,
        )

    async def proof(self, user: int, day: date) -> rewards.DrawProof:
        return await get_draw_proof(
            rewards.GetDrawProof(user_id=user, day=day),
            reads=self.reads,
            clock=self.desk.clock,
            terms=self.terms,
        )

    async def check(self) -> None:
        """Invariants of the books, whatever the test did."""
        async with self.desk.database.read() as connection:
            report = await audit(connection)
        broken = {check.name for check in report.checks if check.broken_by}
        assert broken == self.broken, report.lines()


@pytest.fixture
async def giving(postgres_desk):
    made = Giving(postgres_desk)
    yield made
    await made.check()


@pytest.fixture
async def crowd(postgres_desk, migrated_dsn):
    """The same desk with a connection for each of 32 people at once."""
    database = await Database.connect(migrated_dsn, schema=SCHEMA, pool_max=32)
    async with AsyncExitStack() as lent:
        # Connected before the race, or the first would be through before the last has begun.
        for _ in range(32):
            await lent.enter_async_context(database.read())
    desk = type(postgres_desk)(postgres_desk.books, postgres_desk.clock, database)
    made = Giving(desk)
    yield made
    await made.check()
    await database.close()
