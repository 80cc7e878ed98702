"""Accounts, lots, transfers and grants in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from billing.adapters.queries import SQL
from billing.domain.accounts import Account, Transfer
from billing.domain.ledger import Ledger
from billing.domain.lots import Lot
from billing.ports import Grant
from chassis.database import Connection
from contracts import billing
from contracts.ids import UserId


class PostgresAccounts:
    async def lock(self, connection: Connection, user_ids: Sequence[UserId]) -> None:
        if user_ids:
            await connection.fetch(SQL["lock_accounts"], user_ids)

    async def load(
        self,
        connection: Connection,
        user_ids: Sequence[UserId],
        lots: Sequence[int] = (),
        *,
        spendable: bool = True,
    ) -> dict[UserId, Account]:
        rows = await connection.fetch(SQL["load_accounts"], user_ids)
        found = {row["user_id"]: Account(*row) for row in rows}
        if not (spendable or lots):
            return found
        rows = await connection.fetch(SQL["load_lots"], user_ids, lots, spendable)
        for user_id, *columns in rows:
            lot = Lot(*columns)
            found[user_id].lots[lot.number] = lot
        return found

    async def open(
        self, connection: Connection, user_id: UserId, deep_link: str, now: datetime
    ) -> bool:
        opened = await connection.fetchval(SQL["open_account"], user_id, deep_link, now)
        return opened is not None

    async def save(self, connection: Connection, ledger: Ledger) -> None:
        await _save_lots(connection, ledger)
        if ledger.transfers:
            await connection.copy_records_to_table(
                "transfers",
                columns=(*Transfer._fields, "at"),
                records=[(*transfer, ledger.now) for transfer in ledger.transfers],
            )
        accounts = list(ledger.accounts.values())
        if accounts:
            await connection.execute(
                SQL["save_accounts"],
                [account.user_id for account in accounts],
                [account.available for account in accounts],
                [account.held for account in accounts],
                [account.debt for account in accounts],
                [account.in_flight for account in accounts],
                [account.transfers for account in accounts],
                [account.lots_opened for account in accounts],
                [account.trial_renews_at for account in accounts],
            )

    async def save_tier(
        self, connection: Connection, account: Account, command: billing.SetTier, now: datetime
    ) -> None:
        await connection.execute(
            SQL["save_tier"],
            account.user_id,
            account.tier,
            account.tier_until,
            account.tier_version,
            command.reason,
            command.actor,
            now,
        )

    async def lock_due_trials(
        self, connection: Connection, now: datetime, limit: int, seen: Sequence[UserId] = ()
    ) -> list[UserId]:
        rows = await connection.fetch(SQL["due_trials"], now, limit, seen)
        return [row["user_id"] for row in rows]

    async def expired_lots(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[tuple[UserId, int]]:
        rows = await connection.fetch(SQL["expired_lots"], now, limit)
        return [(row["user_id"], row["number"]) for row in rows]


async def _save_lots(connection: Connection, ledger: Ledger) -> None:
    opened = [(user_id, ledger.lots[user_id, number]) for user_id, number in ledger.opened]
    if opened:
        await connection.execute(
            SQL["open_lots"],
            [user_id for user_id, _ in opened],
            [lot.number for _, lot in opened],
            [lot.kind for _, lot in opened],
            [lot.granted for _, lot in opened],
            [lot.remaining for _, lot in opened],
            [lot.expires_at for _, lot in opened],
            [lot.state for _, lot in opened],
        )
    touched = [(key[0], lot) for key, lot in ledger.lots.items() if key not in ledger.opened]
    if touched:
        await connection.execute(
            SQL["save_lots"],
            [user_id for user_id, _ in touched],
            [lot.number for _, lot in touched],
            [lot.granted for _, lot in touched],
            [lot.remaining for _, lot in touched],
            [lot.expires_at for _, lot in touched],
            [lot.state for _, lot in touched],
        )


class PostgresGrants:
    async def find(self, connection: Connection, keys: Sequence[str]) -> dict[str, Grant]:
        rows = await connection.fetch(SQL["find_grants"], keys)
        return {row["grant_key"]: Grant(*row) for row in rows}

    async def add(
        self, connection: Connection, grants: Sequence[tuple[Grant, int, str]], now: datetime
    ) -> None:
        if not grants:
            return
        await connection.execute(
            SQL["add_grants"],
            now,
            [grant.key for grant, _, _ in grants],
            [grant.user_id for grant, _, _ in grants],
            [lot for _, lot, _ in grants],
            [grant.kind for grant, _, _ in grants],
            [grant.credits for grant, _, _ in grants],
            [grant.expires_at for grant, _, _ in grants],
            [grant.reason for grant, _, _ in grants],
            [actor for _, _, actor in grants],
        )
