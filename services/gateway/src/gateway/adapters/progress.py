"""Shows how a running order gets on: listens to its shard and edits the status message."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from chassis import logs
from chassis.broker import Broker, Ephemeral, Subscription
from chassis.database import Database
from chassis.errors import TransientError
from contracts.generator import JobProgress
from contracts.ids import OrderId
from gateway.adapters.edits import Edits
from gateway.domain import keys
from gateway.ports import Notices

log = logs.get("gateway.progress")
ORDERS_MAX = 5_000
_FIND = """
    SELECT m.message_id, p.language, s.workflow_id
    FROM messages m
    JOIN persons p ON p.user_id = m.chat_id
    JOIN screens s ON s.order_id = $3
    WHERE m.chat_id = $1 AND m.key = $2 AND NOT m.final
      AND s.state IN ('placed', 'accepted', 'running') AND NOT s.cancel_asked
"""


class Status(msgspec.Struct, frozen=True):
    """Where an order's progress is shown, and to whom."""

    message_id: int
    language: str
    workflow_id: str


class Progress:
    """Lossy by design: at most one edit per message and interval, and none after the end."""

    def __init__(self, broker: Broker, database: Database, edits: Edits, notices: Notices) -> None:
        self._broker = broker
        self._database = database
        self._edits = edits
        self._notices = notices
        self._subscriptions: dict[int, Subscription] = {}
        self._known: OrderedDict[OrderId, Status] = OrderedDict()

    async def take(self, shards: frozenset[int]) -> None:
        for shard in shards - self._subscriptions.keys():
            subject = f"progress.{shard}.>"
            self._subscriptions[shard] = await self._broker.subscribe(subject, self.show)

    async def let_go(self, shards: frozenset[int]) -> None:
        for shard in shards:
            subscription = self._subscriptions.pop(shard, None)
            if subscription is not None:
                await subscription.stop()
        self._known.clear()  # what another replica says meanwhile is not seen here

    async def show(self, message: Ephemeral) -> None:
        """Offer the newest progress of an order to its status message."""
        try:
            progress = JobProgress.decode(message.body)
        except msgspec.MsgspecError:
            log.warning("progress_malformed")
            return
        try:
            status = await self._status(progress)
        except TransientError as error:
            log.debug("progress_lost", reason=type(error).__name__)
            return
        if status is not None:
            screen = self._notices.progress(status.language, status.workflow_id, progress)
            self._edits.offer(progress.user_id, status.message_id, screen)

    async def _status(self, progress: JobProgress) -> Status | None:
        known = self._known.get(progress.order_id)
        if known is not None:
            return known
        async with self._database.read() as connection:
            row = await connection.fetchrow(
                _FIND, progress.user_id, keys.order(progress.order_id), progress.order_id
            )
        if row is None:
            return None
        status = self._known[progress.order_id] = Status(*row)
        while len(self._known) > ORDERS_MAX:
            self._known.popitem(last=False)
        return status
