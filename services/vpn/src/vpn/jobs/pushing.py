"""Brings one node to the newest generation: a difference where its base is known, else the set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chassis import logs, metrics
from chassis.clock import Clock
from contracts import errors
from contracts.vpn import NodeDrift
from vpn import node_api
from vpn.domain import reconcile
from vpn.domain.desired import Entry, by_email
from vpn.domain.reconcile import Caps, Findings
from vpn.jobs.alarms import Alarms
from vpn.jobs.line import Line
from vpn.ports.desired import Desired, Head
from vpn.ports.keeping import Keeping
from vpn.ports.nodes import Change, NodeRefusedError

log = logs.get("vpn.nodes")
push_seconds = metrics.histogram("vitrine.vpn.push", description="decided until confirmed, by node")
drift_count = metrics.counter("vitrine.vpn.drift", description="differences found, by node")


def _nobody() -> None:
    """Nobody wants to know of confirmations."""


@dataclass(slots=True)
class Base:
    """What a node confirmed last. `held_back`: it is known to hold more than it should."""

    generation: int = 0
    hash: str = ""
    held_back: str = ""


class Pushing:
    """One node's; used by its keeper alone, one call after the other."""

    def __init__(
        self,
        line: Line,
        desired: Desired,
        keeping: Keeping,
        alarms: Alarms,
        clock: Clock,
        caps: Caps,
    ) -> None:
        self._line = line
        self._node = line.config.name
        self._region = line.config.region
        self._desired = desired
        self._keeping = keeping
        self._alarms = alarms
        self._clock = clock
        self._caps = caps
        self.base = Base()
        self.on_confirmed: Callable[[], None] = _nobody
        self.sent = ("", 0)
        """Hash and generation last sent: an answer may be lost on its way."""

    async def head(self) -> Head:
        return await self._desired.head(self._region)

    async def push(self) -> bool:
        """Send what changed since the base; return whether the node needs a whole comparison."""
        base = self.base
        since = await self._desired.since(self._region, base.generation)
        if since.head.generation == base.generation:
            return False
        change = Change(
            generation=since.head.generation,
            base_generation=base.generation,
            base_hash=base.hash,
            put=since.put,
            remove=since.remove,
        )
        self.sent = (since.head.hash, since.head.generation)
        try:
            applied = await self._line.call(self._line.driver.change(change))
        except NodeRefusedError as error:
            log.info("push_refused", node=self._node, code=error.code)
            if error.code in (node_api.OTHER_BASE, node_api.OLDER_GENERATION):
                return True
            raise
        differs = bool(applied.hash) and applied.hash != since.head.hash
        if differs and not base.held_back:
            log.warning("push_confirmed_otherwise", node=self._node)
            return True
        await self._confirm(applied, None if differs else "")
        if since.newest is not None:
            seconds = (self._clock.now() - since.newest).total_seconds()
            push_seconds.record(max(seconds, 0.0), {"node": self._node})
        return False

    async def adopt(self, state: node_api.State) -> None:
        """Take for confirmed what the node has of ours, though its answer never came."""
        await self._confirm(node_api.Applied(state.generation, state.hash), "")

    async def _confirm(self, applied: node_api.Applied, held_back: str | None = None) -> None:
        base = self.base
        base.generation, base.hash = applied.generation, applied.hash
        if held_back is not None:
            base.held_back = held_back
        await self._keeping.confirmed(self._node, applied.generation, applied.hash)
        self.on_confirmed()

    async def resync(self, state: node_api.State) -> NodeDrift:
        """Compare with what the node holds and mend it, within the guards."""
        head, entries = await self._desired.all(self._region)
        if state.generation > head.generation:
            log.error("node_is_newer_than_we_are", node=self._node, generation=state.generation)
            await self._desired.raise_generation(state.generation + 1)
            head, entries = await self._desired.all(self._region)
        found = await self._find(state, entries)
        mending = reconcile.mend(found, self._caps)
        await self._alarm(found, mending.held_back, state)
        if mending.held_back and state.hash:
            applied = await self._line.call(
                self._line.driver.change(
                    Change(
                        generation=max(head.generation, state.generation),
                        base_generation=state.generation,
                        base_hash=state.hash,
                        put=mending.put,
                        remove=mending.remove,
                    )
                )
            )
        else:
            applied = await self._line.call(self._line.driver.put_set(head.generation, entries))
        held_back = await self._verify(applied, head, mending.held_back)
        await self._confirm(applied, held_back)
        mended = len(mending.put) + len(mending.remove)
        log.info("node_mended", node=self._node, mended=mended, held_back=held_back)
        drift_count.add(len(found.missing) + len(found.extra), {"node": self._node})
        return self._drift(found, mended=mended, held_back=held_back)

    async def _verify(self, applied: node_api.Applied, head: Head, held_back: str) -> str:
        """Why it holds something else than the set after all; empty: it does not."""
        same = not applied.hash or applied.hash == head.hash
        lies = not same and not held_back
        await self._alarms.put(
            errors.NODE_LIES, "it confirms another set than it was given", when=lies
        )
        if same:
            return ""
        return errors.NODE_LIES if lies else held_back

    async def dry_run(self) -> NodeDrift:
        """List what the node holds and say what would be done."""
        state = await self._line.call(self._line.driver.state())
        _, entries = await self._desired.all(self._region)
        found = await self._find(state, entries)
        held_back = reconcile.mend(found, self._caps).held_back
        await self._alarm_foreign(found)
        return self._drift(found, mended=0, held_back=held_back or reconcile.DRY_RUN)

    async def _find(self, state: node_api.State, entries: list[Entry]) -> Findings:
        if not state.entries and state.hash and not state.core.lists_users:
            return reconcile.compare(by_email(entries), (), {})
        users = await self._line.call(self._line.driver.users())
        if users is None:
            surplus = max(state.entries - len(entries), 0)
            return Findings(held=state.entries, wanted=len(entries), surplus=surplus)
        held = [(each.email, each.key) for each in users.users]
        ids = [found for email, _ in held if (found := reconcile.id_of(email)) is not None]
        issued = await self._desired.known(ids) if ids else {}
        return reconcile.compare(by_email(entries), held, issued)

    async def _alarm(self, found: Findings, held_back: str, state: node_api.State) -> None:
        empty = state.entries > 0 and found.held == 0
        await self._alarms.put(
            errors.NODE_EMPTY_LIST,
            f"it lists nobody and says it has {state.entries}"
            if empty
            else f"nobody is wanted there, and it has {found.held}",
            when=empty or held_back == reconcile.EMPTY_LIST,
        )
        await self._alarms.put(
            errors.NODE_BLAST_RADIUS,
            f"{len(found.unrecorded)} of {found.held} would go without a record of why",
            when=held_back == reconcile.BLAST_RADIUS,
        )
        await self._alarm_foreign(found)

    async def _alarm_foreign(self, found: Findings) -> None:
        await self._alarms.put(
            errors.NODE_FOREIGN_USERS,
            f"{len(found.foreign)} users that were never issued here",
            when=bool(found.foreign),
        )

    def _drift(self, found: Findings, *, mended: int, held_back: str) -> NodeDrift:
        return NodeDrift(
            node=self._node,
            missing=len(found.missing),
            extra=len(found.extra),
            foreign=len(found.foreign),
            mended=mended,
            held_back=held_back,
        )
