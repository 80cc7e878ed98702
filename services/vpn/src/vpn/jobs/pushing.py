"""Brings one node to the newest generation: a difference where its base is known, else the set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from chassis import logs, metrics
from chassis.clock import Clock
from contracts import errors
from contracts.vpn import NodeDrift
from vpn import node_api
from vpn.domain import reconcile, set_hash
from vpn.domain.desired import Entry, by_email
from vpn.domain.reconcile import Caps, Findings
from vpn.domain.set_hash import SetHash
from vpn.jobs import fitting
from vpn.jobs.alarms import Alarms
from vpn.jobs.line import Line
from vpn.ports.desired import Desired, Head
from vpn.ports.keeping import Keeping
from vpn.ports.nodes import Change, NodeMalformedError, NodeRefusedError

log = logs.get("vpn.nodes")
push_seconds = metrics.histogram("vitrine.vpn.push", description="decided until confirmed, by node")
drift_count = metrics.counter("vitrine.vpn.drift", description="differences found, by node")


def _beside(held: str, wanted: str) -> str:
    """What the hash of a set says of those in it that are not wanted."""
    if not held:
        return ""
    return SetHash(SetHash.from_hex(held).value - SetHash.from_hex(wanted).value).hex()


def _of(applied: node_api.Applied, generation: int) -> node_api.Applied:
    if applied.generation != generation:
        raise NodeMalformedError(f"given {generation}, it confirms {applied.generation}")
    return applied


def _nobody() -> None:
    """Nobody wants to know of confirmations."""


@dataclass(slots=True)
class Base:
    """What a node holds as it said last. `held_back`: it is known to hold more than it should."""

    generation: int = 0
    hash: str = ""
    held_back: str = ""
    beside: str | None = set_hash.EMPTY
    """The hash of what it holds beside all of ours; None: it does not hold all of ours."""


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
            applied = await self._change(change)
        except NodeRefusedError as error:
            log.info("push_refused", node=self._node, code=error.code)
            if error.code in (node_api.OTHER_BASE, node_api.OLDER_GENERATION):
                return True
            raise
        if base.beside is None:
            # What it lacks is mended by and by; who changed now need not wait for that.
            await self._confirm(applied, base.held_back, None)
            return False
        if _beside(applied.hash, since.head.hash) != base.beside:
            log.warning("push_confirmed_otherwise", node=self._node)
            return True
        await self._confirm(applied, base.held_back, base.beside)
        if since.newest is not None:
            seconds = (self._clock.now() - since.newest).total_seconds()
            push_seconds.record(max(seconds, 0.0), {"node": self._node})
        return False

    async def adopt(self, state: node_api.State) -> None:
        """Take for confirmed what the node has of ours, though its answer never came."""
        await self._confirm(node_api.Applied(state.generation, state.hash), "", set_hash.EMPTY)

    async def _confirm(self, applied: node_api.Applied, held_back: str, beside: str | None) -> None:
        """Remember what it holds; only with all of ours among it the generation counts."""
        self.base = Base(applied.generation, applied.hash, held_back, beside)
        if beside is None:
            return
        await self._keeping.confirmed(self._node, applied.generation, applied.hash)
        self.on_confirmed()

    def refuse_implausible(self, state: node_api.State, head: Head) -> None:
        """Raise NodeMalformedError for a generation that no restored database explains."""
        if state.generation > head.generation + fitting.GENERATION_AHEAD_MAX:
            raise NodeMalformedError(
                f"its generation is {state.generation}, ours {head.generation}: wipe its set"
            )

    async def resync(self, state: node_api.State) -> NodeDrift:
        """Compare with what the node holds and mend it, within the guards."""
        head, entries = await self._desired.all(self._region)
        self.refuse_implausible(state, head)
        if state.generation > head.generation:
            log.error("node_is_newer_than_we_are", node=self._node, generation=state.generation)
            head, entries = await self._above(state)
        found = await self._find(state, entries)
        mending = reconcile.mend(found, self._caps)
        if mending.held_back and state.generation == head.generation and mending:
            # A node takes one difference per generation.
            head, entries = await self._above(state)
            found = await self._find(state, entries)
            mending = reconcile.mend(found, self._caps)
        await self._alarm(found, mending.held_back, state)
        if mending.held_back and state.hash:
            applied = await self._change(
                Change(
                    generation=head.generation,
                    base_generation=state.generation,
                    base_hash=state.hash,
                    put=mending.put,
                    remove=mending.remove,
                )
            )
        else:
            applied = await self._put_set(head.generation, entries)
        held_back, beside = await self._verify(applied, head, entries, mending.held_back)
        await self._confirm(applied, held_back, beside)
        mended = len(mending.put) + len(mending.remove)
        log.info("node_mended", node=self._node, mended=mended, held_back=held_back)
        drift_count.add(len(found.missing) + len(found.extra), {"node": self._node})
        return self._drift(found, mended=mended, held_back=held_back)

    async def _above(self, state: node_api.State) -> tuple[Head, list[Entry]]:
        await self._desired.raise_generation(state.generation + 1)
        return await self._desired.all(self._region)

    async def _verify(
        self, applied: node_api.Applied, head: Head, entries: list[Entry], held_back: str
    ) -> tuple[str, str | None]:
        """Why it holds something else than the set after all (empty: it does not), and what more.

        None of the latter: it does not even hold all of ours.
        """
        if applied.hash == head.hash:
            return "", set_hash.EMPTY
        if held_back:
            state = await self._line.call(self._line.driver.state())
            found = await self._find(state, entries)
            same = (state.generation, state.hash) == (applied.generation, applied.hash)
            whole = same and found.listed and not found.missing
            return held_back, _beside(applied.hash, head.hash) if whole else None
        await self._alarms.put(errors.NODE_LIES, "it confirms another set than it was given")
        return errors.NODE_LIES, None

    async def empty(self, state: node_api.State) -> bool:
        """Take everybody of ours off a node that is not used any more; say whether it did."""
        head = await self.head()
        self.refuse_implausible(state, head)
        found = await self._find(state, [])
        if found.foreign and state.hash:
            if found.extra and head.generation <= state.generation:
                head, _ = await self._above(state)
            applied = await self._change(
                Change(
                    generation=max(head.generation, state.generation),
                    base_generation=state.generation,
                    base_hash=state.hash,
                    remove=found.extra,
                )
            )
        else:
            applied = await self._put_set(max(head.generation, state.generation), [])
        left = await self._find(await self._line.call(self._line.driver.state()), [])
        await self._alarm_foreign(left)
        return not left.extra and (bool(left.foreign) or applied.hash == set_hash.EMPTY)

    async def ours_on(self, state: node_api.State) -> int:
        """How many of ours a node holds that should hold none."""
        found = await self._find(state, [])
        await self._alarm_foreign(found)
        return len(found.extra) if found.listed else found.surplus

    async def listed(self, state: node_api.State) -> Findings | None:
        """Compare a node whose hash is right with its list; None: it changed meanwhile."""
        head, entries = await self._desired.all(self._region)
        there = (state.generation, state.hash)
        if there != (head.generation, head.hash):
            return None
        found = await self._find(state, entries)
        after = await self._line.call(self._line.driver.state())
        if there != (after.generation, after.hash) or not after.core.synced:
            return None
        await self._alarm_foreign(found)
        await self._alarm_empty(found, "", after)
        # It ends people by its own clock, and we by ours.
        ending = self._clock.now() + timedelta(seconds=node_api.SKEW_MAX_SECONDS)
        missing = tuple(each for each in found.missing if each.expires_at > ending)
        return replace(found, missing=missing)

    async def take_off_again(self, there: Head, emails: Sequence[str]) -> None:
        """Have those removed whom it lists though its set is without them.

        Under the generation it has: to the set nothing is changed, to the core something may be.
        """
        await self._change(
            Change(
                generation=there.generation,
                base_generation=there.generation,
                base_hash=there.hash,
                remove=emails,
            )
        )
        log.warning("node_removals_repeated", node=self._node, count=len(emails))

    async def _change(self, change: Change) -> node_api.Applied:
        applied = await self._line.call(self._line.driver.change(change))
        return _of(applied, change.generation)

    async def _put_set(self, generation: int, entries: list[Entry]) -> node_api.Applied:
        applied = await self._line.call(self._line.driver.put_set(generation, entries))
        return _of(applied, generation)

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
            return Findings(
                unsure=tuple(entries),
                held=state.entries,
                wanted=len(entries),
                surplus=surplus,
                listed=False,
            )
        held = [(each.email, each.key, each.expires_at) for each in users.users]
        ids = [found for email, _, _ in held if (found := reconcile.id_of(email)) is not None]
        issued = await self._desired.known(ids) if ids else {}
        return reconcile.compare(by_email(entries), held, issued)

    async def _alarm(self, found: Findings, held_back: str, state: node_api.State) -> None:
        await self._alarm_empty(found, held_back, state)
        await self._alarms.put(
            errors.NODE_BLAST_RADIUS,
            f"{len(found.unrecorded)} of {found.held} would go without a record of why",
            when=held_back == reconcile.BLAST_RADIUS,
        )
        await self._alarm_foreign(found)

    async def _alarm_empty(self, found: Findings, held_back: str, state: node_api.State) -> None:
        empty = state.entries > 0 and found.held == 0
        await self._alarms.put(
            errors.NODE_EMPTY_LIST,
            f"it lists nobody and says it has {state.entries}"
            if empty
            else f"nobody is wanted there, and it has {found.held}",
            when=empty or held_back == reconcile.EMPTY_LIST,
        )

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
