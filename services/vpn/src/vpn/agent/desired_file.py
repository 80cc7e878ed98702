"""The desired set on disk: a snapshot, a journal of what came after, and which of it is in doubt.

A record is on disk before the core hears of it, and whoever asked hears only after the core. What
lies between is 'in doubt': an agent that finds its core still running repeats just that.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from chassis import logs
from vpn.agent import journal
from vpn.domain.desired import Difference, Entry

log = logs.get("vpn.agent.desired")
SNAPSHOT = "desired.set"
JOURNAL = "desired.journal"
COMPACT_BYTES_MIN = 1 << 20
VERSION = 1


class Stored(msgspec.Struct):
    """All that must survive the agent."""

    version: int = VERSION
    sequence: int = 0
    generation: int = 0
    entries: list[Entry] = []
    doubt: list[str] = []
    core: str = ""
    """The life of the core that confirmed last."""


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


class DesiredFile:
    """Owns the folder's two files. `entries` and `generation` are what was acknowledged last."""

    def __init__(self, folder: Path) -> None:
        self._snapshot = folder / SNAPSHOT
        self._journal = journal.Journal(folder / JOURNAL)
        self._snapshot_bytes = 0
        self.entries: dict[str, Entry] = {}
        self.generation = 0
        self.doubt: set[str] = set()
        self.core = ""
        self.damage = ""
        """What could not be read, in one sentence; the control plane's next full set mends it."""
        self._sequence = 0

    def load(self) -> None:
        stored = self._read_snapshot()
        self._sequence = stored.sequence
        self.generation = stored.generation
        self.entries = {one.email: one for one in stored.entries}
        self.doubt = set(stored.doubt)
        self.core = stored.core
        for payload in self._journal.open():
            record = _record.decode(payload)
            if record.sequence > self._sequence:
                self._take(record)

    def _read_snapshot(self) -> Stored:
        try:
            data = self._snapshot.read_bytes()
        except FileNotFoundError:
            return Stored()
        records, whole = journal.unframed(data)
        if len(records) == 1 and whole == len(data):
            self._snapshot_bytes = len(data)
            stored = _stored.decode(records[0])
            if stored.version == VERSION:
                return stored
        aside = self._snapshot.with_name(SNAPSHOT + ".damaged")
        self._snapshot.replace(aside)
        self.damage = f"the stored set was damaged and is kept as {aside.name}"
        log.error("stored_set_damaged", bytes=len(data))
        return Stored()

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
        self.generation = record.generation
        self.doubt.update(one.email for one in record.put)
        self.doubt.update(record.remove)

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
        self._journal.append(msgspec.msgpack.encode(record), durable=False)
        self._take(record)

    def _compact_if_long(self) -> None:
        if self._journal.size <= max(COMPACT_BYTES_MIN, self._snapshot_bytes):
            return
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
            entries=list(self.entries.values()),
            doubt=sorted(self.doubt),
            core=self.core,
        )
        data = journal.framed(msgspec.msgpack.encode(stored))
        journal.replace(self._snapshot, data)
        self._snapshot_bytes = len(data)
        self._journal.clear()

    def close(self) -> None:
        self._journal.close()
