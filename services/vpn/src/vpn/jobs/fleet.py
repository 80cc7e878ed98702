"""All nodes of this replica, and how they are woken: at once here, by a hint on the others."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis import logs
from chassis.background import Background
from chassis.broker import Broker
from chassis.ephemeral import Ephemeral
from chassis.errors import TransientError
from vpn.jobs.counting import Counting
from vpn.jobs.keeper import CHECK, DRY_RUN, PUSH, RECONCILE, Keeper

log = logs.get("vpn.nodes")
DAY = timedelta(days=1)
HINTS = "vpn.hint."
"""Core NATS, stored by no stream: whoever misses one sees the same at the next look."""


class Fleet:
    """Its `push`, `check`, ... are called after a commit: they only wake, and never wait."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._keepers: Sequence[Keeper] = ()
        self._countings: Sequence[Counting] = ()
        self._hints: set[str] = set()
        self._hinted = asyncio.Event()
        self._stopping = False

    def add(self, keepers: Sequence[Keeper], countings: Sequence[Counting]) -> None:
        self._keepers, self._countings = keepers, countings

    def push(self) -> None:
        self._ask(PUSH)

    def check(self) -> None:
        self._ask(CHECK)

    def reconcile(self) -> None:
        self._ask(RECONCILE)

    def dry_run(self) -> None:
        self._ask(DRY_RUN)

    def _ask(self, what: str) -> None:
        self._tell(what)
        self._hints.add(what)
        self._hinted.set()

    def _tell(self, what: str) -> None:
        for keeper in self._keepers:
            keeper.ask(what)
        if what == CHECK:
            for counting in self._countings:
                counting.ask()

    async def run(self, background: Background) -> None:
        """Send hints to the other replicas, and hear theirs."""
        subscription = await self._broker.subscribe(f"{HINTS}*", self._heard)
        while not self._stopping and not background.stopping.is_set():
            await self._hinted.wait()
            self._hinted.clear()
            hints, self._hints = self._hints, set()
            for hint in hints:
                try:
                    await self._broker.publish_ephemeral(f"{HINTS}{hint}", b"")
                except TransientError as error:
                    log.info("hint_not_sent", reason=type(error).__name__)
        await subscription.stop()

    async def _heard(self, message: Ephemeral) -> None:
        self._tell(message.subject.removeprefix(HINTS))

    async def stop(self) -> None:
        """Have every loop look at once whether it is to end."""
        self._stopping = True
        self._hinted.set()
        self._tell(CHECK)

    @property
    def behind(self) -> float:
        """The most generations that a node kept here lacks."""
        return float(max((each.behind for each in self._keepers if each.holds), default=0))

    @property
    def down(self) -> float:
        """How many nodes kept here do not answer."""
        return float(sum(each.line.breaker.open for each in self._keepers if each.holds))

    def certificate_days_left(self, now: datetime) -> float:
        """Until the first certificate between us and a node kept here ends; not a number: none."""
        kept = (each.certificate_until for each in self._keepers if each.holds and not each.off)
        return min(((until - now) / DAY for until in kept if until is not None), default=math.nan)
