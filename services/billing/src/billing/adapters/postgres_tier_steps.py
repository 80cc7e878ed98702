"""What gave people their tiers, in Postgres."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

from billing.adapters.queries import read
from billing.domain.accounts import Account, TierStep
from chassis.database import Connection
from contracts.ids import UserId

SQL = read(Path(__file__).with_name("tier_steps.sql"))


class PostgresTierSteps:
    async def load(self, connection: Connection, user_id: UserId) -> list[TierStep]:
        return [TierStep(*row) for row in await connection.fetch(SQL["load_steps"], user_id)]

    async def save(self, connection: Connection, account: Account) -> None:
        if account.steps:
            columns = map(list, zip(*map(astuple, account.steps), strict=True))
            await connection.execute(SQL["save_steps"], account.user_id, *columns)
