"""Rows that nothing can ask for any more: deleted every hour, in small batches."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from chassis import inbox, logs
from chassis.clock import Clock
from chassis.database import Database
from contracts import topology
from contracts.envelope import HEADER_AGGREGATE

log = logs.get("chassis.retention")
KEEP = topology.INBOX_HORIZON + timedelta(days=2)
"""The horizon, the rest of its first day, and a day for clocks that disagree."""
ROWS_MAX = 1_000
"""One statement's worth: milliseconds, so that nobody waits long for a row it holds."""

# What another process holds is left to the next batch or hour; so replicas share the work.
STARTS = (
    "DELETE FROM starts WHERE id IN (SELECT id FROM starts WHERE last_at < $1 "
    "LIMIT $2 FOR UPDATE SKIP LOCKED)"
)
PARKED = (
    "DELETE FROM parked WHERE id IN (SELECT id FROM parked "
    "WHERE state = 'done' AND redriven_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)"
)
EFFECTS = (
    "DELETE FROM effects WHERE key IN (SELECT key FROM effects "
    "WHERE state <> 'due' AND settled_at < least($1, "
    "(SELECT min(parked_at) FROM parked WHERE state <> 'done') - $3::interval) "
    "LIMIT $2 FOR UPDATE SKIP LOCKED)"
)
VERSIONS = (
    "DELETE FROM aggregate_versions WHERE aggregate IN (SELECT aggregate FROM aggregate_versions v "
    "WHERE seen_at < $1 AND NOT EXISTS (SELECT FROM parked "
    "WHERE state <> 'done' AND (headers->>$3::text = v.aggregate OR starts_with(v.aggregate, $4))) "
    "LIMIT $2 FOR UPDATE SKIP LOCKED)"
)


class Retention:
    """Deletes what the runtime keeps only to recognise a repeat, once no repeat can be run.

    A message is run only while its id is within the horizon; an older one is parked. From that:

    - An aggregate's version: whatever is older than it was made before it was seen, so KEEP after
      that its id is outside the horizon. One that was parked in time may be re-driven whenever an
      operator likes: while it waits, its aggregate's version stays. What it will say a last word
      about it does not tell: while anything waits, last words stay.
    - An effect's key: what asks for it a second time is a repeat of what asked the first time, and
      that was made before the effect was settled. A parked message that waits does not tell which
      key it will ask for: what was settled within KEEP before it was parked, or later, stays.
    - A re-driven row: its id is as old as its re-drive at least. Should it come again, it is not
      run but parked once more.

    A row that waits for an operator is never deleted. One that came here outside the horizon is
    the operator's own judgement: neither inbox nor versions nor keys know whether it was handled.
    """

    def __init__(self, database: Database, clock: Clock, stopping: asyncio.Event) -> None:
        self._database = database
        self._clock = clock
        self._stopping = stopping

    async def run_once(self) -> int:
        """Delete all that is past its time, batch by batch; return how many rows that were."""
        total = 0
        for table, statement, more in (
            ("starts", STARTS, ()),
            ("parked", PARKED, ()),
            ("effects", EFFECTS, (KEEP,)),
            ("aggregate_versions", VERSIONS, (HEADER_AGGREGATE, inbox.WORD_PREFIX)),
        ):
            deleted = await self._delete(statement, *more)
            if deleted:
                log.info("old_rows_deleted", table=table, rows=deleted)
            total += deleted
        return total

    async def _delete(self, statement: str, *more: object) -> int:
        before = self._clock.now() - KEEP
        total, deleted = 0, ROWS_MAX
        while deleted == ROWS_MAX and not self._stopping.is_set():
            async with self._database.read() as connection:
                status = await connection.execute(statement, before, ROWS_MAX, *more)
            deleted = int(status.rpartition(" ")[2])
            total += deleted
        return total
