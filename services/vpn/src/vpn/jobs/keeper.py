"""Keeps one node in step: pushes at once, watches how it is, mends drift; one replica at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import uniform

from chassis import logs
from chassis.background import Background
from chassis.clock import Clock
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.leases import Lease
from contracts import errors
from contracts.vpn import NodeDrift
from vpn import node_api
from vpn.domain import reconcile
from vpn.jobs.alarms import Alarms
from vpn.jobs.line import Line
from vpn.jobs.listing import Listing
from vpn.jobs.pushing import Base, Pushing
from vpn.jobs.resting import Resting
from vpn.ports.desired import Head
from vpn.ports.keeping import Keeping, NodeRow, Seen
from vpn.ports.nodes import NodeMalformedError, NodeRefusedError, NodeUnreachableError
from vpn.ports.registry import DOWN, SICK, STATE_OFF, SYNCING, UP

log = logs.get("vpn.nodes")
PUSH, CHECK, RECONCILE, DRY_RUN = "push", "check", "reconcile", "dry_run"
BACKOFF_FIRST_SECONDS = 0.2
MEND_AGAIN_SECONDS = 1.0
SYNC_PATIENCE = 6
"""So many times longer than trouble may last a core may take to take in a large set."""
DETAIL_MAX = 200
SEEN_EVERY_SECONDS = 10.0
CERTIFICATE_WARNED = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Watch:
    """How often a node is looked at, and how patient one is with it."""

    look_every: timedelta = timedelta(seconds=1)
    drift_window: timedelta = timedelta(seconds=3)
    """A difference younger than this may be a change on its way."""
    down_after: timedelta = timedelta(seconds=10)
    """Silence, or trouble while it answers, is told of when it has lasted so long."""
    backoff_max: timedelta = timedelta(seconds=5)
    reconcile_every: timedelta = timedelta(minutes=10)
    list_every: timedelta = timedelta(hours=6)
    """Its list is held against its hash; at every start of it as well."""
    rest_every: timedelta = timedelta(seconds=30)
    """How often one is looked at that is off and emptied."""
    lease_retry: timedelta = timedelta(milliseconds=500)


class Keeper:
    """One node's. Every replica has one; that with the lease works, the others wait for it."""

    def __init__(
        self,
        line: Line,
        pushing: Pushing,
        keeping: Keeping,
        alarms: Alarms,
        lease: Lease,
        *,
        clock: Clock,
        background: Background,
        watch: Watch,
    ) -> None:
        self.node = line.config.name
        self.line = line
        self.pushing = pushing
        self.holds = False
        """Whether this replica keeps the node now."""
        self.off = False
        self.behind = 0
        self.certificate_until: datetime | None = None
        self._keeping = keeping
        self._alarms = alarms
        self._lease = lease
        self._clock = clock
        self._background = background
        self._watch = watch
        self._asked: set[str] = set()
        self._woken = asyncio.Event()
        self._failures = 0
        self._answered_at = 0.0
        self._drift_since: float | None = None
        self._look_at = 0.0
        self._reconcile_at = 0.0
        self._boot = ("", 0.0)
        self._shown: Seen | None = None
        self._shown_at = 0.0
        self._counters_wrong = ""
        self._told_of_counters = False
        self._sick_since: float | None = None
        self._mend_at = 0.0
        self._mendings = 0
        """How often in a row it did not hold all of ours after it was mended."""
        self._resting = Resting(line, pushing, keeping, alarms, watch.rest_every)
        self._listing = Listing(
            pushing, self.node, every=watch.list_every, window=watch.drift_window
        )

    def ask(self, what: str) -> None:
        """Have something done soon: PUSH, CHECK, RECONCILE or DRY_RUN."""
        self._asked.add(what)
        self._woken.set()

    def counters_read(self, wrong: str = "") -> None:
        """What was wrong with its counters at the last reading; it is told of at least once."""
        if wrong and wrong != self._counters_wrong:
            self._counters_wrong, self._told_of_counters = wrong, False
            self.ask(CHECK)
        elif not wrong and self._told_of_counters:
            self._counters_wrong = ""

    async def run(self) -> None:
        stopping = self._background.stopping
        while not stopping.is_set():
            if await self._lease.acquire():
                self.holds = True
                try:
                    await self._serve()
                finally:
                    self.holds = False
                    await self._lease.release()
            await self._background.pause(self._watch.lease_retry.total_seconds())

    async def _serve(self) -> None:
        log.info("node_kept", node=self.node)
        self._alarms.forget()
        self._shown = None
        self._look_at = 0.0
        self._listing.begin()
        self._answered_at = asyncio.get_running_loop().time()
        loaded = False
        while self._lease.held and not self._background.stopping.is_set():
            self._woken.clear()
            try:
                if not loaded:
                    await self._load()
                    loaded = True
                seconds = await self._step()
                self._failures = 0
            except NodeMalformedError as error:
                seconds = await self._contained(self._malformed(error))
            except NodeUnreachableError as error:
                seconds = await self._contained(self._unreachable(error))
            except NodeRefusedError as error:
                seconds = await self._contained(self._refused(error))
            except (TransientError, *RETRYABLE) as error:
                log.warning("node_postponed", node=self.node, reason=type(error).__name__)
                seconds = self._backoff()
            await self._wait(seconds)

    async def _load(self) -> None:
        row = await self._keeping.row(self.node)
        if row is not None:
            self.pushing.base = Base(row.generation, row.hash)
            self._boot = (row.boot_id, row.uptime_seconds)

    async def _contained(self, work: Awaitable[None]) -> float:
        """Note a failure; that noting it fails as well must not end the keeper."""
        try:
            await work
        except (TransientError, *RETRYABLE) as error:
            log.warning("node_postponed", node=self.node, reason=type(error).__name__)
        return self._backoff()

    def _backoff(self) -> float:
        self._failures += 1
        longest = self._watch.backoff_max.total_seconds()
        seconds = min(BACKOFF_FIRST_SECONDS * 2.0 ** min(self._failures - 1, 16), longest)
        return seconds * uniform(0.8, 1.0)  # noqa: S311 - only spreads retries

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _step(self) -> float:
        """Do what is asked or due; return how long there is nothing to do unless asked."""
        asked, self._asked = self._asked, set()
        row = await self._keeping.row(self.node)
        self.off = row is None or row.state == STATE_OFF
        if self.off:
            self.pushing.base = Base()
            await self._rest(row, asked=bool(asked - {PUSH}))
            return self._watch.look_every.total_seconds()
        loop = asyncio.get_running_loop()
        reconciles = RECONCILE in asked or loop.time() >= self._reconcile_at
        done = False
        try:
            if self.pushing.base.hash and await self.pushing.push():
                self._look_at = 0.0
            if DRY_RUN in asked:
                await self._dry_run()
            if asked - {PUSH} or reconciles or loop.time() >= self._look_at:
                await self._look(reconciles=reconciles)
            done = True
        finally:
            if not done:
                self._asked |= asked - {PUSH}
        return max(self._look_at - loop.time(), 0.0)

    async def _rest(self, row: NodeRow | None, *, asked: bool) -> None:
        if row is not None and (wrong := await self._resting.step(row, asked=asked)):
            await self._note(Seen(health=SICK, detail=wrong, at=self._clock.now()))
        self._answered_at = asyncio.get_running_loop().time()

    async def _look(self, *, reconciles: bool) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        state = await self.line.call(self.line.driver.state())
        head = await self.pushing.head()
        self.pushing.refuse_implausible(state, head)
        drift = NodeDrift(node=self.node)
        if self._is_ours(state, head):
            await self.pushing.adopt(state)
        tried_again = self._is_tried_again(began, reconciles=reconciles)
        started = self._restarted(state)
        if self._differs(state, head) or tried_again:
            if tried_again or self._is_sure(state, loop.time()):
                drift = await self.pushing.resync(state)
                self._mended(loop.time())
                reconciles = True
                state = await self.line.call(self.line.driver.state())
                head = await self.pushing.head()
            else:
                drift = NodeDrift(node=self.node, held_back=reconcile.GRACE_WINDOW)
        else:
            self._drift_since = None
            await self._listing.step(state, head, started=started)
        self._boot = (state.boot_id, state.core.uptime_seconds)
        await self._show(state, head)
        if reconciles:
            await self._keeping.drifted(
                drift, dry_run=False, at=self._clock.now(), seconds=loop.time() - began
            )
            self._reconcile_at = loop.time() + self._watch.reconcile_every.total_seconds()
        self._look_at = loop.time() + self._watch.look_every.total_seconds()

    def _is_tried_again(self, now: float, *, reconciles: bool) -> bool:
        """What guards hold back is tried with every comparison; what did not work, by and by."""
        base = self.pushing.base
        return (reconciles and bool(base.held_back)) or (
            base.beside is None and now >= self._mend_at
        )

    def _mended(self, now: float) -> None:
        self._drift_since = None
        self._mendings = self._mendings + 1 if self.pushing.base.beside is None else 0
        longest = self._watch.reconcile_every.total_seconds()
        wait = min(MEND_AGAIN_SECONDS * 2.0 ** min(self._mendings, 16), longest)
        self._mend_at = now + wait * uniform(0.8, 1.0)  # noqa: S311 - only spreads retries

    def _is_ours(self, state: node_api.State, head: Head) -> bool:
        """Whether an answer was lost, or given to another replica: what we remember is old."""
        base, there = self.pushing.base, (state.hash, state.generation)
        if there == (base.hash, base.generation) or not state.hash or not state.core.synced:
            return False
        return there in ((head.hash, head.generation), self.pushing.sent)

    def _differs(self, state: node_api.State, head: Head) -> bool:
        """Whether it holds something else than it confirmed, or confirmed something else."""
        base = self.pushing.base
        if not state.hash:
            # It cannot tell: a new start is all there is to go by.
            return self._restarted(state) or not base.generation
        if (state.generation, state.hash) != (base.generation, base.hash):
            return True
        return base.generation == head.generation and base.hash != head.hash and not base.held_back

    def _restarted(self, state: node_api.State) -> bool:
        boot_id, uptime = self._boot
        return state.boot_id != boot_id or state.core.uptime_seconds < uptime

    def _is_sure(self, state: node_api.State, now: float) -> bool:
        """At another generation it is mended at once; any other difference must last a while."""
        lost = not state.entries or state.generation != self.pushing.base.generation
        if lost or not state.hash or self._restarted(state):
            return True
        if self._drift_since is None:
            self._drift_since = now
        return now - self._drift_since >= self._watch.drift_window.total_seconds()

    async def _dry_run(self) -> None:
        began = asyncio.get_running_loop().time()
        drift = await self.pushing.dry_run()
        seconds = asyncio.get_running_loop().time() - began
        await self._keeping.drifted(drift, dry_run=True, at=self._clock.now(), seconds=seconds)

    async def _show(self, state: node_api.State, head: Head) -> None:
        """Write down how it is, and raise or clear what operators should know."""
        base = self.pushing.base
        self.behind = head.generation - base.generation
        self._answered_at = asyncio.get_running_loop().time()
        health, detail = UP if not self.behind else SYNCING, ""
        if not state.core.running:
            health, detail = SICK, "its core does not run"
        elif not state.core.synced:
            health, detail = SICK, "its core does not hold the set yet"
        elif base.held_back:
            health, detail = SICK, base.held_back
        elif self._listing.wrong or self._counters_wrong:
            health, detail = SICK, self._listing.wrong or self._counters_wrong
        listing = self._listing.wrong if self._listing.wrong != reconcile.EMPTY_LIST else ""
        lies = base.held_back if base.held_back == errors.NODE_LIES else ""
        lies = self._counters_wrong or listing or lies
        await self._alarms.put(errors.NODE_LIES, lies, when=bool(lies), calm=True)
        core = state.core
        await self._sick(
            "" if core.running and core.synced else detail,
            patience=SYNC_PATIENCE if core.running else 1,
        )
        self._told_of_counters = True
        await self._note(
            Seen(
                health=health,
                detail=detail or "; ".join(state.alerts)[:DETAIL_MAX],
                core=f"{state.core.kind} {state.core.version}".strip(),
                boot_id=state.boot_id,
                uptime_seconds=state.core.uptime_seconds,
                entries=state.entries,
                at=self._clock.now(),
            )
        )
        skew = state.clock_skew_seconds
        paused = state.expiry_paused and bool(state.agent_version)
        skewed = abs(skew) > node_api.SKEW_MAX_SECONDS or paused
        await self._alarms.put(errors.NODE_DOWN, when=False)
        await self._alarms.put(errors.NODE_CLOCK_SKEW, f"{skew:.0f} s", when=skewed, calm=True)
        self.certificate_until = until = state.certificate_until
        ending = until is not None and until < self._clock.now() + CERTIFICATE_WARNED
        await self._alarms.put(errors.NODE_CERTIFICATE, f"until {until}", when=ending)

    async def _note(self, seen: Seen) -> None:
        """Write it down when it changed, and else every now and then."""
        now, before = asyncio.get_running_loop().time(), self._shown
        changed = before is None or _looks(before) != _looks(seen)
        if changed or now - self._shown_at >= SEEN_EVERY_SECONDS:
            await self._keeping.seen(self.node, seen)
            self._shown, self._shown_at = seen, now

    async def _unreachable(self, error: NodeUnreachableError) -> None:
        now = asyncio.get_running_loop().time()
        self._look_at = 0.0
        if self._shown is None or self._shown.health != DOWN:
            log.warning("node_unreachable", node=self.node, reason=str(error))
            await self._note(Seen(health=DOWN, detail="it does not answer"))
        if now - self._answered_at >= self._watch.down_after.total_seconds():
            await self._alarms.put(errors.NODE_DOWN, "it does not answer")

    async def _malformed(self, error: NodeMalformedError) -> None:
        """Nothing it says is believed meanwhile, and nothing of it written down."""
        detail = str(error)[:DETAIL_MAX]
        log.error("node_answer_does_not_fit", node=self.node, why=detail)
        self._look_at = 0.0
        await self._note(Seen(health=SICK, detail=detail, at=self._clock.now()))
        await self._alarms.put(errors.NODE_LIES, detail)

    async def _refused(self, error: NodeRefusedError) -> None:
        log.warning("node_refused", node=self.node, code=error.code)
        self._look_at = 0.0
        await self._note(Seen(health=SICK, detail=error.code, at=self._clock.now()))
        await self._sick(error.code)

    async def _sick(self, detail: str, *, patience: int = 1) -> None:
        """Operators are told of trouble that lasts; empty: there is none."""
        now = asyncio.get_running_loop().time()
        if not detail:
            self._sick_since = None
            await self._alarms.put(errors.NODE_SICK, when=False, calm=True)
            return
        self._sick_since = now if self._sick_since is None else self._sick_since
        if now - self._sick_since >= patience * self._watch.down_after.total_seconds():
            await self._alarms.put(errors.NODE_SICK, detail)


def _looks(seen: Seen) -> tuple[object, ...]:
    """All of it but what changes every second."""
    return (seen.health, seen.detail, seen.core, seen.boot_id, seen.entries)
