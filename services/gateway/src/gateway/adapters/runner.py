"""Takes the updates of the shards held here: people side by side, one person's in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from opentelemetry.trace import SpanKind

from chassis import logs, metrics, parked, tracing
from chassis.background import Background, contained
from chassis.broker import Broker, Delivery, Pull
from chassis.clock import id_floor
from chassis.database import RETRYABLE, Connection
from chassis.errors import TransientError
from chassis.gate import Gate
from chassis.outbox import Outbox, UnitOfWork
from contracts import topology
from contracts.envelope import HEADER_TRACE
from contracts.gateway import UPDATES_SUBJECT
from contracts.ids import UserId
from gateway.adapters.conversations import Conversations
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.adapters.intake import Peek, peek
from gateway.adapters.sender import Sender
from gateway.adapters.turns import MalformedUpdateError, Turns, Worked
from gateway.ports import Answer

log = logs.get("gateway.updates")
SERVICE = "gateway"
BATCH_MAX = 64
IDLE_HEARTBEAT = timedelta(seconds=15)
BEAT_SECONDS = topology.ACK_WAIT_UPDATES.total_seconds() / 3
LET_GO_SECONDS_MAX = 8.0
NAK_FIRST = timedelta(milliseconds=200)
NAK_MAX = timedelta(seconds=10)
ANSWER_BITS = 10
UPDATE_IDS = 1 << 51
"""An answer's number and its update's share the 61 free bits of an id."""
_TEMPLATE = "gateway.updates.{shard}"

handled_count = metrics.counter("gateway.updates.handled", description="by outcome")
reply_seconds = metrics.histogram(
    "gateway.reply_seconds", description="from an update's delivery to the end of its answers"
)


class Runner:
    """Pull, work, commit, say, acknowledge. A crash between any two loses nothing."""

    def __init__(
        self,
        broker: Broker,
        outbox: Outbox,
        turns: Turns,
        conversations: Conversations,
        deliveries: PostgresDeliveries,
        sender: Sender,
        background: Background,
        *,
        concurrent_max: int,
        starts_max: int,
        send_wait_max: timedelta,
    ) -> None:
        self._broker = broker
        self._outbox = outbox
        self._gate = Gate(SERVICE, outbox)
        self._turns = turns
        self._conversations = conversations
        self._deliveries = deliveries
        self._sender = sender
        self._background = background
        self._starts_max = starts_max
        self._send_wait_max = send_wait_max
        self._free = asyncio.Semaphore(concurrent_max)
        self._pulls: dict[int, Pull] = {}
        self._lines: dict[int, deque[tuple[Peek, Delivery]]] = {}
        self._held: set[Delivery] = set()
        self._beating: asyncio.TimerHandle | None = None
        self._finished = asyncio.Event()

    async def take(self, shards: frozenset[int]) -> None:
        """Begin to pull the updates of these shards."""
        for shard in shards:
            pull = self._broker.consume(
                "UPDATES",
                topology.shard_consumer(shard),
                batch=BATCH_MAX,
                idle_heartbeat=IDLE_HEARTBEAT,
            )
            self._pulls[shard] = pull
            self._background.spawn(self._pull(pull), name="updates")

    async def let_go(self, shards: frozenset[int]) -> None:
        """Stop pulling and finish what was taken: afterwards nobody here works these shards."""
        pulls = [self._pulls.pop(shard) for shard in shards if shard in self._pulls]
        await asyncio.gather(*(pull.stop() for pull in pulls))
        names = {topology.shard_consumer(shard) for shard in shards}
        try:
            async with asyncio.timeout(LET_GO_SECONDS_MAX):
                while any(delivery.consumer in names for delivery in self._held):
                    self._finished.clear()
                    await self._finished.wait()
        except TimeoutError:
            log.warning("shards_left_at_work", count=len(shards))

    async def _pull(self, pull: Pull) -> None:
        async for batch in pull:
            for delivery in batch:
                # Only a gateway takes updates in: what others put here is a person's word forged.
                if await self._gate.producer_of(delivery) is not None:
                    await self._line_up(delivery)

    async def _line_up(self, delivery: Delivery) -> None:
        try:
            peeked = peek(delivery.body)
        except msgspec.MsgspecError:
            # Nobody stores such a thing through the intake; without ids there is no inbox row.
            self._hold(delivery)
            self._background.spawn(self._park_unreadable(delivery), name="update-park")
            return
        self._hold(delivery)
        line = self._lines.get(peeked.user_id)
        if line is not None:
            line.append((peeked, delivery))
            return
        self._lines[peeked.user_id] = deque([(peeked, delivery)])
        self._background.spawn(self._work_line(peeked.user_id), name="update-line")

    async def _work_line(self, user_id: UserId) -> None:
        """One person's updates, one after the other."""
        line = self._lines[user_id]
        try:
            while line:
                peeked, delivery = line.popleft()
                await self._handle(peeked, delivery)
        finally:
            del self._lines[user_id]

    async def _handle(self, peeked: Peek, delivery: Delivery) -> None:
        try:
            if not await contained(self._traced(peeked, delivery), name="update"):
                await self._hand_back(delivery)
        finally:
            self._drop(delivery)

    async def _traced(self, peeked: Peek, delivery: Delivery) -> None:
        try:
            with tracing.span(
                f"process {_TEMPLATE}",
                traceparent=delivery.headers.get(HEADER_TRACE, ""),
                link=delivery.headers.get(HEADER_TRACE, ""),
                kind=SpanKind.CONSUMER,
                attributes={
                    "messaging.system": "nats",
                    "messaging.operation.name": "process",
                    "messaging.operation.type": "process",
                    "messaging.destination.template": _TEMPLATE,
                    "messaging.nats.delivery_count": delivery.deliveries,
                },
            ):
                await self._try(peeked, delivery)
        except (TransientError, *RETRYABLE) as error:
            log.warning("update_handed_back", reason=type(error).__name__)
            await self._hand_back(delivery)

    async def _try(self, peeked: Peek, delivery: Delivery) -> None:
        """Start counted first on the third delivery: a body that kills the process cannot loop."""
        starts = 0
        if delivery.deliveries >= topology.STARTS_BEFORE_ALONE:
            starts = await self._count_start(peeked)
            if starts > topology.STARTS_MAX:
                await self._park(peeked, delivery, "started too often without an end")
                return
        if peeked.malformed:
            await self._park(peeked, delivery, "malformed")
            return
        try:
            async with self._free:  # not while Telegram is being talked to: that takes longer
                said = self._said(peeked, delivery.headers)
                worked = await self._turns.work(peeked, delivery.body, said=said)
        except (TransientError, *RETRYABLE):
            raise
        except MalformedUpdateError as error:
            await self._park(peeked, delivery, f"malformed: {error}")
            return
        except Exception as error:  # noqa: BLE001 - the boundary where a router's bug is parked
            await self._failed(peeked, delivery, error, starts)
            return
        handled_count.add(1, {"outcome": "repeated" if worked.repeated else "handled"})
        await self._say(peeked, worked, delivery)
        await delivery.ack()

    async def _failed(
        self, peeked: Peek, delivery: Delivery, error: Exception, counted: int
    ) -> None:
        """A bug: tried a few times, for it may be the other side's; then parked."""
        starts = counted or await self._count_start(peeked)
        log.error("update_failed", starts=starts, reason=type(error).__name__, exc_info=error)
        if starts >= self._starts_max:
            await self._park(peeked, delivery, f"failed: {type(error).__name__}")
        else:
            await self._hand_back(delivery)

    async def _count_start(self, peeked: Peek) -> int:
        async with self._outbox.database.read() as connection:
            return await self._conversations.count_start(
                connection,
                update_id=peeked.update_id,
                user_id=peeked.user_id,
                now=self._outbox.clock.now(),
            )

    async def _park(self, peeked: Peek, delivery: Delivery, reason: str) -> None:
        """Keep the update, alert, and tell the person, in one transaction; then acknowledge."""
        handled_count.add(1, {"outcome": "parked"})
        try:
            async with self._outbox.begin() as uow:
                uow.message_id = self._said(peeked, delivery.headers)
                await parked.park(uow, delivery, reason=reason, service=SERVICE)
                worked = await self._turns.apologise(uow, peeked)
        except (TransientError, *RETRYABLE):
            raise
        except Exception:
            log.exception("apology_failed")
            await self._park_silently(delivery, reason)
            return
        await self._say(peeked, worked, delivery)
        await delivery.ack()

    async def _park_silently(self, delivery: Delivery, reason: str) -> None:
        async with self._outbox.begin() as uow:
            await parked.park(uow, delivery, reason=reason, service=SERVICE)
        await delivery.ack()

    async def _park_unreadable(self, delivery: Delivery) -> None:
        try:
            await self._park_silently(delivery, "not an update")
        except (TransientError, *RETRYABLE) as error:
            log.warning("parking_postponed", reason=type(error).__name__)
            await self._hand_back(delivery)
        finally:
            self._drop(delivery)

    async def _say(self, peeked: Peek, worked: Worked, delivery: Delivery) -> None:
        """Send the answers now; what would wait too long becomes delivery rows."""
        if not worked.answers:
            return
        answers = worked.answers
        if worked.repeated:
            async with self._outbox.database.read() as connection:
                answers = await self._still_true(connection, peeked, answers)
        left = await self._sender.answer(
            peeked.chat_id,
            answers,
            callback_id=peeked.callback_id,
            wait_max=self._send_wait_max,
            repeated=worked.repeated,
        )
        if left:
            sent_at = parked.made_at(delivery.headers)
            await self._postpone(peeked, sent_at, worked.answers, left)
        took = asyncio.get_running_loop().time() - delivery.received_at
        reply_seconds.record(took)

    async def _postpone(
        self,
        peeked: Peek,
        sent_at: datetime | None,
        answers: Sequence[Answer],
        left: Sequence[Answer],
    ) -> None:
        async with self._outbox.begin() as uow:
            uow.traceparent = tracing.inject()
            for each in await self._still_true(uow.connection, peeked, left):
                index = next(i for i, answer in enumerate(answers) if answer is each)
                await self._deliveries.postpone(
                    uow,
                    chat_id=peeked.chat_id,
                    answer=each,
                    id=self._answer_id(peeked, sent_at, index),
                )

    async def _still_true(
        self, connection: Connection, peeked: Peek, answers: Sequence[Answer]
    ) -> tuple[Answer, ...]:
        """What is said late or once more must not take back what was said since."""
        return await self._conversations.still_true(
            connection,
            answers,
            update_id=peeked.update_id,
            user_id=peeked.user_id,
            chat_id=peeked.chat_id,
        )

    def _answer_id(self, peeked: Peek, sent_at: datetime | None, index: int) -> UUID:
        """The same for the same answer, so that a repeat does not queue it twice.

        A UUIDv7 of the moment the update came, so that delivery rows stay in order.
        """
        first = id_floor(sent_at or self._outbox.clock.now())
        number = (peeked.update_id % UPDATE_IDS) << ANSWER_BITS | index
        return UUID(int=first.int | number)

    def _said(self, peeked: Peek, headers: Mapping[str, str]) -> UUID:
        """An id of the update itself, of the moment it came; however late it is worked."""
        return self._answer_id(peeked, parked.made_at(headers), 0)

    async def _hand_back(self, delivery: Delivery) -> None:
        wait = min(NAK_FIRST * 2 ** min(delivery.deliveries, 10), NAK_MAX)
        try:
            await delivery.nak(wait)
        except TransientError as error:
            # NATS is away as well; ack_wait brings it back.
            log.info("nak_lost", reason=type(error).__name__)

    def _hold(self, delivery: Delivery) -> None:
        self._held.add(delivery)
        if self._beating is None:
            self._beating = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        """Tell the server that what waits in a line here is being worked on."""
        self._beating = None
        for delivery in self._held:
            delivery.in_progress_soon()
        if self._held:
            self._beating = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def _drop(self, delivery: Delivery) -> None:
        self._held.discard(delivery)
        self._finished.set()

    def accepts(self, subject: str) -> bool:
        """Whether a parked message is one of ours (chassis.redrive asks)."""
        return subject.startswith(UPDATES_SUBJECT.format(shard=""))

    async def redrive(self, uow: UnitOfWork, row: parked.ParkedRow) -> None:
        """Work a parked update again, in the operator's transaction."""
        peeked = peek(row.body)
        uow.message_id = self._said(peeked, row.headers)
        await self._turns.again(uow, peeked, row.body)
