"""How full the job queues are, from NATS and the outbox: sampled, never asked per order."""

from __future__ import annotations

from datetime import datetime, timedelta

from billing.adapters.queries import SQL
from chassis.broker import Broker
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import TransientError
from contracts import topology
from contracts.ids import uuid7_time


class JobQueues:
    """The last sample, less what this process added since."""

    def __init__(
        self,
        broker: Broker,
        database: Database,
        clock: Clock,
        *,
        queue_max: int,
        outbox_age_max: timedelta,
    ) -> None:
        self._broker = broker
        self._database = database
        self._clock = clock
        self._queue_max = queue_max
        self._outbox_age_max = outbox_age_max
        self._rooms: dict[str, int] = {}
        self.oldest_hold: datetime | None = None
        self.oldest_waiting: datetime | None = None

    @property
    def sampled(self) -> bool:
        return bool(self._rooms)

    def rooms(self) -> dict[str, int]:
        if not self._rooms:
            raise TransientError("the job queues were not sampled yet")
        return dict(self._rooms)

    def taken(self, pool: str, jobs: int) -> None:
        self._rooms[pool] = max(self._rooms.get(pool, 0) - jobs, 0)

    def hold_age_seconds(self) -> float:
        """How long the oldest pending hold has been waiting; for the gauge."""
        return self._age(self.oldest_hold)

    def waiting_seconds(self) -> float:
        """How long the oldest order that no generator has started waits; for the gauge."""
        return self._age(self.oldest_waiting)

    def _age(self, since: datetime | None) -> float:
        if since is None:
            return 0.0
        return max((self._clock.now() - since).total_seconds(), 0.0)

    async def sample(self) -> None:
        """Ask how long the queues are and whether jobs leave the outbox at all."""
        async with self._database.read() as connection:
            oldest = await connection.fetchval(SQL["read_oldest_job"])
            pending = await connection.fetchrow(SQL["oldest_pending"], list(topology.POOLS))
        assert pending is not None
        self.oldest_hold, self.oldest_waiting = pending["held"], pending["waiting"]
        stuck = oldest is not None and self._clock.now() - uuid7_time(oldest) > self._outbox_age_max
        if stuck:
            self._rooms = dict.fromkeys(topology.POOLS, 0)
            return
        rooms = {}
        for pool in topology.POOLS:
            waiting = 0
            for lane in topology.LANES:
                consumer = topology.job_consumer(pool, lane)
                state = await self._broker.consumer_info("JOBS", consumer)
                waiting += state.num_pending
            rooms[pool] = max(self._queue_max - waiting, 0)
        self._rooms = rooms
