"""Seals committed transfers off the hot path, and keeps the chain's head outside the database."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import msgspec

from billing.adapters.queries import read
from billing.domain import chain
from billing.domain.chain import Head
from chassis import logs
from chassis.database import Connection, Database
from chassis.key_value import KeyValue
from chassis.outbox import Outbox

SQL = read(Path(__file__).with_name("seals.sql"))
BUCKET = "seals"
KEY = "billing.head"
ROWS_MAX = 5_000
"""A seal covers about so many rows: a transaction is never cut in two."""
FIRST = "0"
STATEMENT_TIMEOUT_SECONDS = 600.0

log = logs.get("billing.seals")


class Kept(msgspec.Struct, frozen=True):
    """The head as it stands outside: a database that was rolled back or edited differs from it."""

    number: int
    digest: bytes


class Seals:
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._heads = KeyValue(outbox.broker, BUCKET)

    async def seal(self) -> None:
        """Seal what is committed and lies below every running transaction; then tell the head."""
        while await self._seal_some() >= ROWS_MAX:
            log.debug("sealing_goes_on")
        head = await self.head()
        if head.number:
            await self._keep(head)

    async def head(self) -> Head:
        async with self._outbox.database.read() as connection:
            last = await connection.fetchrow(SQL["last_seal"])
        return Head(last["number"], last["digest"]) if last is not None else Head()

    async def kept(self) -> Head:
        entry = await self._heads.get(KEY)
        if entry is None:
            return Head()
        kept = msgspec.msgpack.decode(entry.value, type=Kept)
        return Head(kept.number, kept.digest)

    async def forget(self, number: int) -> bool:
        """Raises WrongRevisionError when another replica writes one at this moment."""
        entry = await self._heads.get(KEY)
        if entry is None or msgspec.msgpack.decode(entry.value, type=Kept).number != number:
            return False
        await self._heads.delete(KEY, entry.revision)
        return True

    async def _seal_some(self) -> int:
        try:
            async with self._outbox.database.read() as connection, connection.transaction():
                return await self._seal_in(connection)
        except asyncpg.UniqueViolationError:
            log.debug("sealed_by_another")
            return 0

    async def _seal_in(self, connection: Connection) -> int:
        last = await connection.fetchrow(SQL["last_seal"])
        since = last["up_to"] if last is not None else FIRST
        up_to = await connection.fetchval(SQL["seal_horizon"], since, ROWS_MAX)
        if int(up_to) < int(since):
            # A dump was restored into a younger cluster: its transactions count from below.
            log.error("sealing_stands_still", since=since, now=up_to)
            return 0
        rows = await connection.fetch(SQL["rows_to_seal"], since, up_to)
        if not rows:
            return 0
        head = Head(last["number"], last["digest"]) if last is not None else Head()
        await connection.execute(
            SQL["add_seal"],
            head.number + 1,
            up_to,
            len(rows),
            chain.extend(head.digest, (tuple(row) for row in rows)),
            self._outbox.clock.now(),
        )
        return len(rows)

    async def _keep(self, head: Head) -> None:
        """Write the head outside, unless what stands there is newer: then somebody must look."""
        kept = await self.kept()
        if kept.number > head.number or (kept.number == head.number and kept.digest != head.digest):
            log.error("ledger_behind_its_seal", kept=kept.number, found=head.number)
            return
        if kept.number < head.number:
            value = msgspec.msgpack.encode(Kept(head.number, head.digest))
            await self._heads.put(KEY, value)


async def broken_seals(database: Database, kept: Head) -> tuple[int, ...]:
    """Recompute the chain from the rows; return the numbers of the seals that do not hold.

    `kept` is the head as it stood outside: 0 in the answer says that the chain ends before it.
    """
    broken = []
    before, since = chain.GENESIS, FIRST
    digests = {0: chain.GENESIS}
    async with (
        database.read() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        for seal in await connection.fetch(SQL["all_seals"], timeout=STATEMENT_TIMEOUT_SECONDS):
            rows = await connection.fetch(
                SQL["rows_to_seal"], since, seal["up_to"], timeout=STATEMENT_TIMEOUT_SECONDS
            )
            found = chain.extend(before, (tuple(row) for row in rows))
            if found != seal["digest"] or len(rows) != seal["transfers"]:
                broken.append(seal["number"])
            before, since = seal["digest"], seal["up_to"]
            digests[seal["number"]] = seal["digest"]
    if digests.get(kept.number) != kept.digest:
        broken.insert(0, 0)
    return tuple(broken)
