"""What may be done about a node that holds something else than it should."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vpn.domain.desired import Entry, identity

EMPTY_LIST = "empty_list"
BLAST_RADIUS = "blast_radius"
GRACE_WINDOW = "grace_window"
DRY_RUN = "dry_run"
UNREACHABLE = "unreachable"
FOREIGN = "foreign"
Held = tuple[str, UUID, datetime | None]
"""Email, key, and until when, where the node knows."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may be removed at once without a record of why: the larger of the two."""

    removals: int = 10
    share: float = 0.05

    def allowed(self, of: int) -> int:
        return max(self.removals, int(of * self.share))


@dataclass(frozen=True, slots=True)
class Findings:
    """What differs. `extra` are ours; what is not ours is `foreign` and never touched."""

    missing: tuple[Entry, ...] = ()
    """Not there, or there with another key or another end."""
    unsure: tuple[Entry, ...] = ()
    """There, as far as anybody can tell: until when is not known."""
    extra: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    """Those of `extra` whose removal nobody recorded: was it ever meant?"""
    foreign: tuple[str, ...] = ()
    held: int = 0
    wanted: int = 0
    surplus: int = 0
    """Where nobody can list them: how many more it says it has than are wanted."""
    listed: bool = True

    @property
    def recorded(self) -> tuple[str, ...]:
        """Those of `extra` whose removal is on record: to take them off again harms nobody."""
        doubtful = set(self.unrecorded)
        return tuple(email for email in self.extra if email not in doubtful)


@dataclass(frozen=True, slots=True)
class Mending:
    """`held_back`: why some of it is not done; empty: the whole set may be put.

    To put the whole set is to remove the rest: with strangers among them it is not done either.
    """

    put: tuple[Entry, ...]
    remove: tuple[str, ...]
    held_back: str = ""

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


def id_of(email: str) -> UUID | None:
    """The subscription an email may be of; None: none of ours, whatever it is."""
    try:
        found = UUID(email)
    except ValueError:
        return None
    return found if str(found) == email.lower() else None


def compare(
    wanted: Mapping[str, Entry], held: Iterable[Held], issued: Mapping[UUID, bool]
) -> Findings:
    """`issued`: ids we ever gave out, and whether their removal is recorded."""
    there: dict[str, tuple[UUID | None, datetime | None]] = {}
    extra, unrecorded, foreign = [], [], []
    for email, key, until in held:
        email = email.lower()  # noqa: PLW2901 - the core compares so
        there[email] = (key, until)
        if email in wanted:
            continue
        found = id_of(email)
        if found is None or found not in issued:
            foreign.append(email)
            continue
        extra.append(email)
        if not issued[found]:
            unrecorded.append(email)
    missing, unsure = [], []
    for email, each in wanted.items():
        held_key, until = there.get(email, (None, None))
        other_end = until is not None and int(until.timestamp()) != each.epoch_seconds
        if other_end or not _is_key(held_key, each.key):
            missing.append(each)
        elif until is None:
            unsure.append(each)
    return Findings(
        tuple(missing),
        tuple(unsure),
        tuple(extra),
        tuple(unrecorded),
        tuple(foreign),
        len(there),
        len(wanted),
    )


def _is_key(held: UUID | None, wanted: UUID) -> bool:
    return held == wanted or (held is not None and identity(held) == identity(wanted))


def mend(found: Findings, caps: Caps) -> Mending:
    """Adding is always right; removing needs a record, or to be few.

    With nothing wanted at all, what nobody recorded stays: an empty database looks the same.
    """
    doubtful = len(found.unrecorded) + found.surplus
    held_back = ""
    if doubtful and not found.wanted:
        held_back = EMPTY_LIST
    elif doubtful > caps.allowed(found.held):
        held_back = BLAST_RADIUS
    if not held_back:
        if not found.foreign:
            return Mending(found.missing, found.extra)
        return Mending((*found.missing, *found.unsure), found.extra, FOREIGN)
    return Mending((*found.missing, *found.unsure), found.recorded, held_back)
