"""Keeps the core equal to the set: applies requests, drops what expired, repairs a new core."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable
from contextlib import suppress
from time import perf_counter

import msgspec

from chassis import logs
from chassis.background import Background
from chassis.clock import Clock
from vpn import node_api
from vpn.adapters.core import bulk
from vpn.adapters.core.client import CoreUser
from vpn.adapters.core.errors import CoreRefusedError, CoreUnreachableError
from vpn.agent.connections import Connections
from vpn.agent.current import CurrentCore
from vpn.agent.desired_file import DesiredFile
from vpn.agent.holding import Holding, RefusedError
from vpn.agent.link import Access, Link, access
from vpn.agent.skew import Skew
from vpn.agent.unsaved import Unsaved
from vpn.domain.desired import Difference, Entry

log = logs.get("vpn.agent.keeper")
RESTART_WAIT_SECONDS = 30.0
RETRY_SECONDS = 0.5
LOOK_AT_CLOCK_SECONDS = 1.0
"""A sleeping process hears of no change to its clock: it looks again this often."""
COMPARE_EVERY_SECONDS = 60.0
"""How soon a core that can list is seen to have been altered behind our back."""
FRESH_START_USERS_MIN = 500
"""From here on, restarting an empty core with everybody in its file beats adding one by one."""


class NotInStepError(CoreRefusedError):
    """The core lives but would not take everything; it is tried again."""


class Flushed(msgspec.Struct):
    """What a flush did to the core."""

    added: int = 0
    removed: int = 0
    replaced: int = 0
    cut: int = 0


class Keeper:
    """The one writer of the set, of its file and of the core's users."""

    def __init__(
        self,
        file: DesiredFile,
        clock: Clock,
        skew: Skew,
        connections: Connections,
        *,
        compare_every_seconds: float = COMPARE_EVERY_SECONDS,
    ) -> None:
        self.holding = Holding(file.generation, file.entries)
        self._core = CurrentCore()
        self._file = file
        self._clock = clock
        self._skew = skew
        self._connections = connections
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._dirty: set[str] = set()
        self._unsaved: Unsaved | None = None
        self._ends: list[tuple[int, str]] = []
        self._paused = skew.too_great  # known from an earlier life: no core starts without them
        self._looked_at = clock.now().timestamp()
        self.looks = 0
        """How often it looked at its clock."""
        self._compare_every = compare_every_seconds
        self._remember_ends(self.holding.entries.values())

    @property
    def link(self) -> Link | None:
        """The core that answers now, and what it holds."""
        return self._core.link

    @property
    def synced(self) -> bool:
        return self.link is not None and not self._dirty

    @property
    def expiry_paused(self) -> bool:
        return self._skew.too_great

    @property
    def not_saved(self) -> str:
        """What an operator should know of a disk that takes nothing; empty: it does."""
        return self._unsaved.sentence() if self._unsaved else ""

    def wanted(self) -> list[CoreUser]:
        """Return who should pass now: what a core is started with."""
        return [
            CoreUser(one.email, one.key, one.flow)
            for one in self.holding.entries.values()
            if self._passes(one)
        ]

    # What the control plane asks.

    async def put_set(self, request: node_api.SetRequest) -> node_api.Applied:
        began = perf_counter()
        async with self._lock:
            difference = self.holding.plan_set(request)
            await self._store_or_cut(request.generation, difference)
            if not difference and (link := self.link) is not None:
                before = dict(link.view)
                if (held := await link.listed()) is not None:
                    await self._compare(link, before, held)
            return await self._applied(began, cut=request.cut)

    async def change(self, request: node_api.ChangesRequest) -> node_api.Applied:
        began = perf_counter()
        async with self._lock:
            difference = self.holding.plan_change(request)
            # Also what we do not know: it may be left over from a life we have no record of.
            self._file.remember(set(request.remove).difference(self.holding.entries))
            self._dirty.update(request.remove)
            if self.link is not None:
                self.link.doubtful.update(request.remove)
            await self._store_or_cut(request.generation, difference)
            return await self._applied(began, cut=request.cut)

    async def _store_or_cut(self, generation: int, difference: Difference) -> None:
        """Put a change on disk. With a disk that takes nothing, whoever is to go goes all the same.

        RefusedError then, and the generation is not held. Nobody is put who is not on disk.
        """
        try:
            await self._store(generation, difference)
        except OSError as error:
            why = error.strerror or str(error)
            log.warning("set_not_saved", why=why, removed=len(difference.remove))
            self._dirty.update(self._unsaved.gone if self._unsaved else ())
            self._unsaved = Unsaved(generation, difference, frozenset(difference.remove), why)
            self._dirty.update(difference.remove)
            self._wake.set()
            with suppress(CoreUnreachableError, NotInStepError):  # then it is tried again
                await self._flush(cut=True)
            raise RefusedError(node_api.NOT_SAVED, why) from error

    async def _save_again(self, unsaved: Unsaved) -> None:
        try:
            await self._store(unsaved.generation, unsaved.difference)
        except OSError as error:
            log.warning("set_not_saved", why=error.strerror)

    async def _store(self, generation: int, difference: Difference) -> None:
        if not difference and generation == self.holding.generation:
            return
        writing = asyncio.get_running_loop().run_in_executor(
            None, self._file.change, generation, difference
        )
        # To the end, whoever gives up waiting: file and memory must not part.
        await asyncio.shield(writing)
        self.holding.take(generation, difference)
        self._file.damage = ""
        if self._unsaved is not None:
            # Whoever was cut without a record, and is not removed by this one, passes again.
            self._dirty.update(self._unsaved.gone)
            self._unsaved = None
        self._dirty.update(difference.remove)
        self._dirty.update(one.email for one in difference.put)
        self._remember_ends(difference.put)

    async def _applied(self, began: float, *, cut: bool) -> node_api.Applied:
        try:
            done = await self._flush(cut=cut)
        except (CoreUnreachableError, NotInStepError) as error:
            raise RefusedError(node_api.CORE_UNAVAILABLE, str(error)) from error
        finally:
            self._wake.set()
        return node_api.Applied(
            generation=self.holding.generation,
            hash=self.holding.hash,
            added=done.added,
            removed=done.removed,
            replaced=done.replaced,
            cut_connections=done.cut,
            took_seconds=perf_counter() - began,
        )

    # What the core does.

    def core_up(self, link: Link) -> None:
        """A core answers: whatever it holds otherwise than wanted is repaired."""
        self._dirty.update(self.holding.entries)
        self._dirty.update(link.view)
        self._dirty.update(link.doubtful)
        self._core.up(link)
        self._wake.set()

    def core_answers(self) -> None:
        """The core we know lives: whoever lost it in the middle of a call goes on."""
        self._core.answers()

    def core_down(self) -> None:
        self._core.down()

    def wake(self) -> None:
        """Look again at once, e.g. because the agent stops."""
        self._wake.set()

    def doubt(self) -> frozenset[str]:
        """Return what a core confirmed last may hold otherwise than the set says."""
        now = self._clock.now()
        ended = (one.email for one in self.holding.entries.values() if one.expires_at <= now)
        return frozenset(self._file.doubt).union(ended)

    @property
    def confirmed_life(self) -> str:
        """The core's life that confirmed last."""
        return self._file.core

    async def _compare(
        self, link: Link, before: dict[str, Access], held: dict[str, Access]
    ) -> None:
        """Repair what a list shows to be otherwise than it was `before` the list was asked for."""
        lost = [
            email
            for email, one in before.items()
            if email not in held and link.view.get(email) == one
        ]
        try:
            await link.offer(lost)
        except (CoreUnreachableError, CoreRefusedError) as error:
            log.warning("core_not_compared", why=str(error))
        for email in {*self.holding.entries, *before, *self._file.removed}.intersection(held):
            if held[email] != before.get(email) == link.view.get(email):
                log.warning("core_altered", email=email)
                link.doubtful.add(email)
                self._dirty.add(email)

    async def _flush(self, *, cut: bool) -> Flushed:
        link = await self._core.reached()
        try:
            return await self._flush_to(link, cut=cut)
        except CoreUnreachableError:
            # A core that just died is back within moments, with most of it in its file.
            link = await self._core.again(link)
            return await self._flush_to(link, cut=cut)

    async def _flush_to(self, link: Link, *, cut: bool) -> Flushed:
        total = Flushed()
        remove, put, replaced = self._work(link)
        if link.restart is not None and not link.view and len(put) >= FRESH_START_USERS_MIN:
            # Nobody of ours is connected to an empty core, so a restart cuts nobody.
            await link.restart()
            link = await self._core.after(link, RESTART_WAIT_SECONDS)
            total.added = len(link.view)
            remove, put, replaced = self._work(link)
        outcome = await bulk.alter(link.client, remove=remove, put_users=put)
        self._learn(link, remove, put, outcome.failed)
        gone = [email for email in remove if email not in outcome.failed]
        total.replaced = len(replaced.difference(outcome.failed))
        total.added += outcome.added - total.replaced
        total.removed = len(gone) - len(replaced.intersection(gone))
        if cut and gone:
            total.cut = await self._connections.cut(gone, lambda email: email not in link.view)
        if outcome.failed:
            email, why = next(iter(outcome.failed.items()))
            log.warning("core_not_in_step", failed=len(outcome.failed), email=email, why=why)
            kind = CoreUnreachableError if outcome.unreachable else NotInStepError
            raise kind(f"{len(outcome.failed)} not applied, e.g. {why}")
        if self.link is not link:
            raise CoreUnreachableError("the core was restarted meanwhile")
        self._file.confirm(link.life)
        return total

    def _work(self, link: Link) -> tuple[list[str], list[CoreUser], set[str]]:
        remove: list[str] = []
        put: list[CoreUser] = []
        replaced: set[str] = set()
        # Whoever is judged now is judged again if the clock turns out to have been ahead.
        self._looked_at = max(self._looked_at, self._clock.now().timestamp())
        for email in list(self._dirty):
            one = self.holding.entries.get(email)
            held = link.holds(email)
            if one is None or not self._passes(one):
                if email in link.view or email in link.doubtful:
                    remove.append(email)
                else:
                    self._dirty.discard(email)
            elif held == access(one):
                self._dirty.discard(email)
            else:
                put.append(CoreUser(email, one.key, one.flow))
                if held is not None:
                    remove.append(email)
                    replaced.add(email)
        return remove, put, replaced

    def _learn(
        self, link: Link, remove: Iterable[str], put: Iterable[CoreUser], failed: dict[str, str]
    ) -> None:
        for email in remove:
            link.view.pop(email, None)
        for user in put:
            link.view[user.email] = access(user)
        done = {*remove, *(user.email for user in put)}.difference(failed)
        link.doubtful.difference_update(done)
        link.doubtful.update(failed)
        self._dirty.difference_update(done)

    # What time does.

    def _passes(self, one: Entry) -> bool:
        if self._unsaved is not None and one.email in self._unsaved.gone:
            return False
        return self._paused or one.epoch_seconds > self._clock.now().timestamp()

    def _remember_ends(self, entries: Iterable[Entry]) -> None:
        for one in entries:
            heapq.heappush(self._ends, (one.epoch_seconds, one.email))

    def _due(self) -> None:
        """Mark whoever's time is up; with a wrong clock nobody's, and whoever was cut returns."""
        now = self._clock.now().timestamp()
        turned = self._paused != self.expiry_paused
        if turned:
            self._paused = self.expiry_paused
            log.warning("expiry_paused" if self._paused else "expiry_resumed")
        self._skew.save_if_due()
        if turned or now < self._looked_at - LOOK_AT_CLOCK_SECONDS:
            # The clock was not what it seemed: whoever ended by it is judged again.
            until = max(now, self._looked_at)
            ended = [one for one in self.holding.entries.values() if one.epoch_seconds <= until]
            self._dirty.update(one.email for one in ended)
            self._remember_ends(ended)
        self._looked_at = now
        self.looks += 1
        while not self._paused and self._ends and self._ends[0][0] <= now:
            at, email = heapq.heappop(self._ends)
            one = self.holding.entries.get(email)
            if one is not None and one.epoch_seconds == at:
                self._dirty.add(email)

    async def run(self, background: Background) -> None:
        """Repair and expire until the agent stops."""
        while not background.stopping.is_set():
            self._wake.clear()
            wait = LOOK_AT_CLOCK_SECONDS
            async with self._lock:
                self._due()
                if self._unsaved is not None:
                    await self._save_again(self._unsaved)
                if self._dirty and self.link is not None:
                    try:
                        await self._flush(cut=True)
                    except (CoreUnreachableError, NotInStepError) as error:
                        log.warning("repair_waits", why=str(error), wait_seconds=RETRY_SECONDS)
                        wait = RETRY_SECONDS
            await self._sleep(wait)

    async def compare_now_and_then(self, background: Background) -> None:
        """See whether somebody altered the core behind our back.

        A core that cannot list is taken at its word until it or the agent begins anew.
        """
        while not await background.pause(self._compare_every):
            if (link := self.link) is None:
                continue
            before = dict(link.view)
            # Without the lock: a list of many takes its time, one that never comes even more.
            held = await link.listed()
            async with self._lock:
                if held is not None and self.link is link:
                    await self._compare(link, before, held)
            self._wake.set()

    async def _sleep(self, seconds: float) -> None:
        if self._ends and not self._paused:
            until_end = self._ends[0][0] - self._clock.now().timestamp()
            seconds = min(seconds, max(until_end, 0.0))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
