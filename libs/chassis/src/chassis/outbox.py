"""Messages decided in a transaction: written with it, published after it, or swept."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from chassis import inbox, logs, tracing
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import Clock, IdFactory, id_floor, new_id
from chassis.database import RETRYABLE, Connection, Database
from chassis.errors import TransientError
from chassis.partitions import Partitions
from contracts import envelope, topology
from contracts.envelope import Headers, Message
from contracts.ids import MessageId, OrderId, uuid7_time

log = logs.get("chassis.outbox")
SWEEP_OLDER_THAN = timedelta(seconds=2)
SWEEP_EVERY = timedelta(seconds=2)
SWEEP_ROWS_MAX = 500
MEMORY_ROWS_MAX = 20_000
"""Beyond this, committed rows are left to the sweeper instead of being kept in memory."""
PUBLISH_ROWS_MAX = 1_000
_FIRST = UUID(int=0)


class OutboxRow(msgspec.Struct, frozen=True):
    """One message to publish. `day` is its partition: the day of the transaction."""

    day: date
    id: UUID
    subject: str
    headers: str
    body: bytes

    def outgoing(self) -> OutgoingMessage:
        headers: Mapping[str, str] = msgspec.json.decode(self.headers)
        return OutgoingMessage(self.subject, self.body, headers)


class EffectRow(msgspec.Struct, frozen=True):
    """One outside call to make, see chassis.effects."""

    key: str
    kind: str
    body: bytes
    traceparent: str
    due_at: datetime
    about: str | None


class UnitOfWork:
    """What a handler is given: the open transaction, the time, and a place to put messages."""

    def __init__(self, connection: Connection, now: datetime, ids: IdFactory = new_id) -> None:
        self.connection = connection
        self.now = now
        self.traceparent = ""
        """The trace of the message being handled; set by the consumer."""
        self.message_id: UUID | None = None
        """The message being handled alone; a batch handler is given each one's own."""
        self.rows: list[OutboxRow] = []
        self.effects: list[EffectRow] = []
        self.hooks: list[Callable[[], None]] = []
        self._ids = ids

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call `hook` once this transaction has committed: to wake a worker, never to decide.

        A crash in between loses the call, so whatever it wakes must also look by itself.
        """
        if hook not in self.hooks:
            self.hooks.append(hook)

    def emit(
        self,
        message: Message,
        *,
        subject: str | None = None,
        id: UUID | None = None,  # noqa: A002 - the wire's own word
        aggregate: str = "",
        version: int = 0,
        order_id: OrderId | None = None,
        traceparent: str | None = None,
    ) -> UUID:
        """Publish `message` once this transaction has committed, and never if it does not.

        The trace is the given `traceparent`, else that of the message being handled, else the
        current span's. A message that carries state must name its aggregate and version.
        """
        assert not message.carries_state or (aggregate and version > 0), message.subject
        headers = Headers(
            id=MessageId(id or self._ids()),
            traceparent=traceparent or self.traceparent or tracing.inject(),
            sent_at=self.now,
            aggregate=aggregate,
            version=version,
            order_id=order_id,
        )
        return self.emit_encoded(subject or message.subject, message.encode(), headers)

    def emit_encoded(self, subject: str, body: bytes, headers: Headers) -> UUID:
        """Publish a body that is encoded already (a timer carries one); else use `emit`."""
        if len(body) > envelope.MESSAGE_BYTES_MAX:
            raise ValueError(f"{subject} would be {len(body)} bytes")
        topology.stream_of(subject)  # committed, what no stream stores would be tried for ever
        if not headers.traceparent.isprintable():
            headers = msgspec.structs.replace(headers, traceparent="")
        values = headers.to_wire()
        if any("\n" in value or "\r" in value for value in values.values()):
            raise ValueError(f"a line break in a header of {subject}")
        wire = msgspec.json.encode(values).decode()
        self.rows.append(OutboxRow(self.now.date(), headers.id, subject, wire, body))
        return headers.id

    async def is_last_word(self, name: str, said: UUID | None = None) -> bool:
        """Whether nothing newer was said about `name`; whatever *sets* a thing asks before it does.

        A command that was handed back or parked comes late, after a newer one on the same thing;
        handled then, what was said first would stay for good. `said` is the id of the message
        (None: the one being handled), whose time counts; ADR 0018.
        """
        word = said or self.message_id or self._ids()
        return await inbox.is_last_word(self.connection, name=name, said=word, now=self.now)

    def word_key(self, about: str) -> str:
        """Return a key for the effect of this message `about` something, in the order of words."""
        said = self.message_id or self._ids()
        return f"{about}:{inbox.word_time(said, self.now):014d}:{said}"

    def effect(
        self,
        kind: str,
        key: str,
        body: bytes,
        due_at: datetime | None = None,
        *,
        about: str | None = None,
    ) -> None:
        """Have the outside call `kind` made once for `key`; the same key again does nothing.

        Of calls `about` one thing the one with the greatest key stays: older ones that were not
        made yet never are, and one that ends after it has the newest made once more.
        A settled key is forgotten after chassis.retention.KEEP.
        """
        trace = self.traceparent or tracing.inject()
        self.effects.append(EffectRow(key, kind, body, trace, due_at or self.now, about))

    def mark(self) -> tuple[int, int]:
        return len(self.rows), len(self.effects)

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget what was emitted since `mark`: its savepoint was rolled back."""
        del self.rows[mark[0] :]
        del self.effects[mark[1] :]

    async def write(self) -> None:
        """Write what was emitted; called by the runtime just before the commit."""
        if self.rows:
            await self.connection.execute(
                "INSERT INTO outbox (day, id, subject, headers, body) "
                "SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[])",
                self.now.date(),
                [row.id for row in self.rows],
                [row.subject for row in self.rows],
                [row.headers for row in self.rows],
                [row.body for row in self.rows],
            )
        if self.effects:
            await self.connection.execute(
                "INSERT INTO effects (key, kind, body, traceparent, due_at, about) "
                "SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], "
                "$5::timestamptz[], $6::text[]) ON CONFLICT (key) DO NOTHING",
                [effect.key for effect in self.effects],
                [effect.kind for effect in self.effects],
                [effect.body for effect in self.effects],
                [effect.traceparent for effect in self.effects],
                [effect.due_at for effect in self.effects],
                [effect.about for effect in self.effects],
            )


class Outbox:
    """Opens transactions and publishes what they decided. One per process."""

    def __init__(
        self, database: Database, broker: Broker, clock: Clock, ids: IdFactory = new_id
    ) -> None:
        self.database = database
        self.broker = broker
        self.clock = clock
        self.partitions = Partitions(database, clock)
        self.effects_due = asyncio.Event()
        self._ids = ids
        self._committed: deque[OutboxRow] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._swept_to = _FIRST
        self.lag_seconds = 0.0
        """The age of the oldest row the last sweep found unpublished; 0: it found none."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """Open a transaction; on leaving: write the outbox, commit, then publish from memory."""
        async with self.database.read() as connection:
            async with connection.transaction():
                uow = UnitOfWork(connection, self.clock.now(), self._ids)
                yield uow
                await uow.write()
            # Before the connection goes back to the pool: nothing more may delay a message.
            self.committed(uow.rows)
        if uow.effects:
            self.effects_due.set()
        for hook in uow.hooks:
            hook()

    def committed(self, rows: Sequence[OutboxRow]) -> None:
        """Hand committed rows to the publisher; too many at once are left to the sweeper."""
        if rows and len(self._committed) + len(rows) <= MEMORY_ROWS_MAX:
            self._committed.extend(rows)
            self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether every row committed here has been handed to NATS or left to the sweeper."""
        return not self._committed

    async def run_publisher(self) -> None:
        """Publish what was just committed, one batch per stream, and mark it; until stopped."""
        while not (self._stopping and not self._committed):
            if not self._committed:
                self._wake.clear()
                if self._stopping:
                    return
                await self._wake.wait()
                continue
            rows = [
                self._committed.popleft()
                for _ in range(min(len(self._committed), PUBLISH_ROWS_MAX))
            ]
            await self._publish(rows)

    async def _publish(self, rows: list[OutboxRow]) -> None:
        try:
            stored = await self._store(rows)
            async with self.database.read() as connection:
                await self._mark(connection, rows, stored)
        except (TransientError, *RETRYABLE) as error:
            log.warning("outbox_left_to_sweeper", rows=len(rows), reason=type(error).__name__)
        except Exception:
            log.exception("outbox_left_to_sweeper", rows=len(rows))

    async def _store(self, rows: Sequence[OutboxRow]) -> list[bool]:
        """Publish rows; one that cannot even be written to the wire stops only itself."""
        try:
            return await self.broker.publish_all([row.outgoing() for row in rows])
        except ValueError as error:
            if len(rows) == 1:
                # Not the error's own text: it may quote the row.
                reason = type(error).__name__
                log.error("outbox_row_refused", id=str(rows[0].id), reason=reason)  # noqa: TRY400
                return [False]
        return [ok for row in rows for ok in await self._store([row])]

    async def _mark(
        self, connection: Connection, rows: Sequence[OutboxRow], stored: Sequence[bool]
    ) -> int:
        done = [row for row, ok in zip(rows, stored, strict=True) if ok]
        for day in {row.day for row in done}:
            await connection.execute(
                "UPDATE outbox SET published_at = $1 WHERE day = $2 AND id = ANY($3)",
                self.clock.now(),
                day,
                [row.id for row in done if row.day == day],
            )
        return len(done)

    async def sweep(self) -> int:
        """Publish rows somebody committed over 2 s ago and did not publish; return how many."""
        async with self.database.read() as connection, connection.transaction():
            found = await connection.fetch(
                "SELECT day, id, subject, headers, body FROM outbox "
                "WHERE published_at IS NULL AND id > $1 AND id < $2 "
                "ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED",
                self._swept_to,
                id_floor(self.clock.now() - SWEEP_OLDER_THAN),
                SWEEP_ROWS_MAX,
            )
            # Page by page: what a full stream refuses must not hide what is behind it.
            self._swept_to = found[-1]["id"] if len(found) == SWEEP_ROWS_MAX else _FIRST
            self.lag_seconds = self._age_of(found[0]["id"]) if found else 0.0
            if not found:
                return 0
            rows = [OutboxRow(*row.values()) for row in found]
            stored = await self._store(rows)
            done = await self._mark(connection, rows, stored)
        log.info("outbox_swept", rows=len(rows), stored=done)
        return done

    def _age_of(self, message_id: UUID) -> float:
        try:
            return (self.clock.now() - uuid7_time(message_id)).total_seconds()
        except ValueError:
            return 0.0  # an id without a time: rows made by hand

    async def run_sweeper(self, stopping: asyncio.Event) -> None:
        """Sweep every 2 s, at once again while there is more than one sweep can take."""
        while not stopping.is_set():
            swept = 0
            try:
                swept = await self.sweep()
            except (TransientError, *RETRYABLE) as error:
                log.warning("outbox_sweep_postponed", reason=type(error).__name__)
            except Exception:
                log.exception("outbox_sweep_failed")
            if swept < SWEEP_ROWS_MAX:
                try:
                    async with asyncio.timeout(SWEEP_EVERY.total_seconds()):
                        await stopping.wait()
                except TimeoutError:
                    continue

    def stop(self) -> None:
        """Let the publisher end once it has published what is in memory."""
        self._stopping = True
        self._wake.set()
        self.effects_due.set()  # its worker looks whether it may still claim

    async def flush(self) -> None:
        """Publish what was committed after the publisher had ended, in one batch."""
        if self._committed:
            rows = list(self._committed)
            self._committed.clear()
            await self._publish(rows)
