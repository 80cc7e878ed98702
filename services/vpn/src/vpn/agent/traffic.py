"""Bytes per person that never decrease, though the core forgets its counters at every start."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Container
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import msgspec

from chassis import logs
from chassis.background import Background
from chassis.clock import Clock
from vpn.adapters.core.client import Counters
from vpn.adapters.core.errors import CoreRefusedError, CoreUnreachableError
from vpn.agent import journal
from vpn.agent.link import Link
from vpn.node_api import TRAFFIC_PAGE, TrafficPage, UserTraffic

log = logs.get("vpn.agent.traffic")
LinkNow = Callable[[], Link | None]
FILE = "traffic"
FORGET_AFTER = timedelta(days=60)
"""Of whoever is in the set no more: long after the control plane has read the last bytes."""


class Row(msgspec.Struct, array_like=True):
    """Total = base (earlier lives of the core) + last (what this life counts)."""

    up_base: int = 0
    down_base: int = 0
    up_last: int = 0
    down_last: int = 0
    moved_at: float = 0.0


class Book(msgspec.Struct):
    life: str = ""
    rows: dict[str, Row] = {}
    epoch: str = ""
    """Of this file: counters that begin anew must not be taken for ones that fell."""


class Traffic:
    """Owns the counters' file. What was told to anybody is on disk first."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._book = Book(epoch=str(uuid4()))
        self._order: list[str] = []
        self._lock = asyncio.Lock()
        self._changed = True  # nobody is told of an epoch that is not on disk
        self.damage = ""

    def load(self) -> None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        records, whole = journal.unframed(data)
        if len(records) != 1 or whole != len(data):
            self._path.replace(self._path.with_name(FILE + ".damaged"))
            self.damage = "the stored traffic counters were damaged: they begin anew"
            log.error("stored_traffic_damaged", bytes=len(data))
            return
        book = msgspec.msgpack.decode(records[0], type=Book)
        self._changed = not book.epoch
        book.epoch = book.epoch or self._book.epoch
        self._book = book
        self._order = sorted(self._book.rows)

    async def refresh(self, link: Link | None, known: Container[str]) -> None:
        """Take in what the core counted, and put it on disk. Without a core: what is known."""
        async with self._lock:
            if link is not None:
                try:
                    self._take(link.life, await link.client.traffic())
                except (CoreUnreachableError, CoreRefusedError) as error:
                    log.warning("traffic_not_read", why=str(error))
            self._forget_old(known)
            if self._changed:
                data = journal.framed(msgspec.msgpack.encode(self._book))
                await asyncio.get_running_loop().run_in_executor(
                    None, journal.replace, self._path, data
                )
                self._changed = False
                self._order = sorted(self._book.rows)

    def _take(self, life: str, counted: dict[str, Counters]) -> None:
        rows = self._book.rows
        if life != self._book.life:
            for row in rows.values():
                _carry(row)
            self._book.life = life
            self._changed = True
        now = self._clock.now().timestamp()
        for email, counters in counted.items():
            row = rows.setdefault(email, Row())
            up, down = max(counters.up_bytes, 0), max(counters.down_bytes, 0)
            if up < row.up_last or down < row.down_last:
                _carry(row)  # a restart that the core's life does not show
            if (up, down) != (row.up_last, row.down_last):
                row.up_last, row.down_last = up, down
                row.moved_at = now
                self._changed = True
            elif not row.moved_at:
                row.moved_at = now
                self._changed = True

    def _forget_old(self, known: Container[str]) -> None:
        before = self._clock.now().timestamp() - FORGET_AFTER.total_seconds()
        rows = self._book.rows
        old = [email for email, row in rows.items() if row.moved_at < before and email not in known]
        for email in old:
            del rows[email]
        self._changed = self._changed or bool(old)

    def page(self, after: str) -> TrafficPage:
        """Return the next people in order of email."""
        first = bisect_right(self._order, after)
        emails = self._order[first : first + TRAFFIC_PAGE]
        more = first + TRAFFIC_PAGE < len(self._order)
        users = [self._of(email) for email in emails]
        return TrafficPage(users, emails[-1] if more else "", self._book.epoch)

    def _of(self, email: str) -> UserTraffic:
        row = self._book.rows[email]
        return UserTraffic(email, row.up_base + row.up_last, row.down_base + row.down_last)


def _carry(row: Row) -> None:
    row.up_base += row.up_last
    row.down_base += row.down_last
    row.up_last = row.down_last = 0


async def run(
    traffic: Traffic,
    background: Background,
    every: timedelta,
    link: LinkNow,
    known: Container[str],
) -> None:
    """Read the counters now and then, so that a core's sudden end costs little."""
    while not await background.pause(every.total_seconds()):
        await traffic.refresh(link(), known)
