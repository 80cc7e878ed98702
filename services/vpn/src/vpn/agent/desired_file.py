"""The desired set on disk: a snapshot, a journal of what came after, and which of it is in doubt.

A record is on disk before the core hears of it, and whoever asked hears only after the core. What
lies between is 'in doubt': an agent that finds its core still running repeats just that.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from chassis import logs
from vpn.agent import journal
from vpn.domain.desired import Difference, Entry

log = logs.get("vpn.agent.desired")
SNAPSHOT = "desired.set"
JOURNAL = "desired.journal"
COMPACT_BYTES_MIN = 1 << 20
VERSION = 2
REMOVED_MAX = 20_000
"""So many of those removed last are remembered: a core may have them still, or again."""


class Stored(msgspec.Struct):
    """The head of a snapshot; so many `people` follow, a record each, so that damage stays small.

    Before version 2 they were all in `entries`.
    """

    version: int = VERSION
    sequence: int = 0
    generation: int = 0
    entries: list[Entry] = []
    people: int = 0
    doubt: list[str] = []
    core: str = ""
    """The life of the core that confirmed last."""
    damage: str = ""
    removed: list[str] = []


class Changed(msgspec.Struct, tag="change", array_like=True):
    sequence: int
    generation: int
    put: tuple[Entry, ...]
    remove: tuple[str, ...]


class Confirmed(msgspec.Struct, tag="confirm", array_like=True):
    sequence: int
    core: str


_record = msgspec.msgpack.Decoder(Changed | Confirmed)
_stored = msgspec.msgpack.Decoder(Stored)
_entry = msgspec.msgpack.Decoder(Entry)


class DesiredFile:
    """Owns the folder's two files. `entries` and `generation` are what was acknowledged last."""

    def __init__(self, folder: Path) -> None:
        self._snapshot = folder / SNAPSHOT
        self._journal = journal.Journal(folder / JOURNAL)
        self._snapshot_bytes = 0
        self.entries: dict[str, Entry] = {}
        self.generation = 0
        self.doubt: set[str] = set()
        self.removed: dict[str, None] = {}
        """Who was removed and not put since, the latest last."""
        self.core = ""
        self.damage = ""
        """What could not be read, in one sentence; the control plane's next full set mends it."""
        self._sequence = 0

    def load(self) -> None:
        """Read what is there. After damage what is readable is kept, under no generation at all."""
        lost = self._read_snapshot()
        for payload in self._journal.open():
            record = _record.decode(payload)
            if record.sequence <= self._sequence:
                continue
            if record.sequence > self._sequence + 1:
                lost = lost or "records are missing from the journal"
            if isinstance(record, Changed):
                self.damage = ""
            self._take(record)
        if self._journal.damaged:
            lost = lost or "the journal of the set was damaged and is kept aside"
        if lost:
            self._disclaim(lost)

    def _disclaim(self, damage: str) -> None:
        """Claim no generation, so that the control plane sends the whole set; till then, serve."""
        self.damage = f"{damage}: {len(self.entries)} entries are readable and served"
        self.generation = 0
        self.doubt = set(self.entries)
        self.core = ""
        log.error("stored_set_damaged", why=damage, entries=len(self.entries))
        self._try_to_compact()

    def _read_snapshot(self) -> str:
        """Take what the snapshot holds; return what is wrong with it."""
        try:
            data = self._snapshot.read_bytes()
        except FileNotFoundError:
            return ""
        self._snapshot_bytes = len(data)
        records, whole, damaged = journal.salvaged(data)
        stored = Stored(version=0)
        for payload in records:
            try:
                one = _entry.decode(payload)
            except msgspec.ValidationError:
                stored = _stored.decode(payload)
            else:
                self.entries[one.email] = one
        self.entries.update((one.email, one) for one in stored.entries)
        self._sequence, self.generation = stored.sequence, stored.generation
        self.doubt, self.core = set(stored.doubt), stored.core
        self.removed = dict.fromkeys(stored.removed)
        self.damage = stored.damage
        whole_set = not damaged and whole == len(data) and stored.version in (1, VERSION)
        if whole_set and len(self.entries) == stored.people + len(stored.entries):
            return ""
        journal.keep_aside(self._snapshot, data)
        return "the stored set was damaged and is kept aside"

    def _take(self, record: Changed | Confirmed) -> None:
        self._sequence = record.sequence
        if isinstance(record, Confirmed):
            self.doubt = set()
            self.core = record.core
            return
        for email in record.remove:
            self.entries.pop(email, None)
        for one in record.put:
            self.entries[one.email] = one
            self.removed.pop(one.email, None)
        self.remember(record.remove)
        self.generation = record.generation
        self.doubt.update(one.email for one in record.put)
        self.doubt.update(record.remove)

    def remember(self, removed: Iterable[str]) -> None:
        """Have these among the removed; they are on disk with a change or the next snapshot."""
        for email in removed:
            self.removed.pop(email, None)
            self.removed[email] = None
        while len(self.removed) > REMOVED_MAX:
            del self.removed[next(iter(self.removed))]

    def change(self, generation: int, difference: Difference) -> None:
        """Put a change on disk; it is in doubt until confirmed."""
        record = Changed(self._sequence + 1, generation, difference.put, difference.remove)
        self._journal.append(msgspec.msgpack.encode(record))
        self._take(record)
        self._compact_if_long()

    def confirm(self, core: str) -> None:
        """Note that the core's given life holds the set. Lost with the machine, as the core is."""
        if not self.doubt and core == self.core:
            return
        record = Confirmed(self._sequence + 1, core)
        try:
            self._journal.append(msgspec.msgpack.encode(record), durable=False)
        except OSError as error:
            # It stays in doubt: an agent that starts anew tells the core once more.
            log.warning("confirmation_not_saved", why=error.strerror)
            return
        self._take(record)

    def _compact_if_long(self) -> None:
        if self._journal.size > max(COMPACT_BYTES_MIN, self._snapshot_bytes):
            self._try_to_compact()

    def _try_to_compact(self) -> None:
        try:
            self.compact()
        except OSError as error:
            # The change itself is safe in the journal; whoever asked for it must hear so.
            log.warning("journal_not_compacted", why=error.strerror)

    def compact(self) -> None:
        """Write the whole set anew. A crash before the clearing is harmless: see `sequence`."""
        stored = Stored(
            sequence=self._sequence,
            generation=self.generation,
            people=len(self.entries),
            doubt=sorted(self.doubt),
            core=self.core,
            damage=self.damage,
            removed=list(self.removed),
        )
        records = map(msgspec.msgpack.encode, (stored, *self.entries.values()))
        data = b"".join(map(journal.framed, records))
        journal.replace(self._snapshot, data)
        self._snapshot_bytes = len(data)
        self._journal.clear()

    def close(self) -> None:
        self._journal.close()
