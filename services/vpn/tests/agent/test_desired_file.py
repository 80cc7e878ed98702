"""The set on disk: whatever byte a kill comes at, what was acknowledged last is there."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from vpn.agent import journal
from vpn.agent.desired_file import JOURNAL, SNAPSHOT, DesiredFile
from vpn.domain.desired import Difference, Entry, entry

EMAILS = [f"person-{number}" for number in range(6)]
ends = some.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=some.just(UTC),
)
entries = some.builds(entry, some.sampled_from(EMAILS), some.uuids(version=4), ends)
changes = some.builds(
    Difference,
    put=some.lists(entries, max_size=3, unique_by=lambda one: one.email).map(tuple),
    remove=some.lists(some.sampled_from(EMAILS), max_size=2, unique=True).map(tuple),
)
UNTIL = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def quick_disk(monkeypatch) -> None:
    """What is tested is what is written, not when it is on the disk."""
    monkeypatch.setattr(journal.os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(journal.os, "fdatasync", lambda _descriptor: None)


def loaded(folder: Path) -> DesiredFile:
    file = DesiredFile(folder)
    file.load()
    return file


def one(number: int) -> Entry:
    return entry(f"person-{number}", UUID(int=number, version=4), UNTIL)


def state(file: DesiredFile) -> tuple[int, dict[str, Entry], frozenset[str]]:
    return file.generation, dict(file.entries), frozenset(file.doubt)


@pytest.mark.usefixtures("quick_disk")
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=some.lists(
        some.tuples(changes, some.sampled_from(["", "confirm", "compact"])), max_size=5
    )
)
def test_a_journal_torn_at_any_byte_gives_the_last_whole_state(folder: Path, steps):
    here, torn = folder / "here", folder / "torn"
    shutil.rmtree(here, ignore_errors=True)
    shutil.rmtree(torn, ignore_errors=True)
    here.mkdir()
    torn.mkdir()
    file = loaded(here)
    expected = {0: state(file)}
    for generation, (difference, then) in enumerate(steps, start=1):
        file.change(generation, difference)
        expected[file._journal.size] = state(file)
        if then == "confirm":
            file.confirm("life")
            expected[file._journal.size] = state(file)
        elif then == "compact":
            file.compact()
            expected = {0: state(file)}
    file.close()
    whole = (here / JOURNAL).read_bytes()

    for length in range(len(whole) + 1):
        if (here / SNAPSHOT).exists():
            shutil.copy(here / SNAPSHOT, torn / SNAPSHOT)
        (torn / JOURNAL).write_bytes(whole[:length])
        again = loaded(torn)
        assert state(again) == expected[max(at for at in expected if at <= length)]
        if length % 17:
            again.close()
            continue
        again.change(99, Difference((one(7),), ()))
        again.close()
        after = loaded(torn)
        assert (after.generation, after.entries["person-7"]) == (99, one(7))
        after.close()


def test_who_was_removed_is_known_until_put_again_and_only_so_many(folder: Path, monkeypatch):
    monkeypatch.setattr("vpn.agent.desired_file.REMOVED_MAX", 2)
    file = loaded(folder)
    file.change(1, Difference(tuple(map(one, range(5))), ()))
    file.change(2, Difference((), ("person-0", "person-1")))
    file.change(3, Difference((one(1),), ("person-2",)))
    assert list(file.removed) == ["person-0", "person-2"]
    file.change(4, Difference((), ("person-3",)))
    file.close()

    from_journal = loaded(folder)
    assert list(from_journal.removed) == ["person-2", "person-3"]
    from_journal.compact()
    from_journal.close()

    again = loaded(folder)
    assert list(again.removed) == ["person-2", "person-3"]
    again.close()


def test_garbage_after_a_torn_tail_is_not_taken_for_a_record(folder: Path):
    file = loaded(folder)
    file.change(1, Difference((one(1),), ()))
    file.close()
    with (folder / JOURNAL).open("ab") as tail:
        tail.write(b"\xff" * 50)

    again = loaded(folder)

    assert again.generation == 1
    again.close()


def test_a_crash_between_snapshot_and_clearing_applies_nothing_twice(folder: Path):
    file = loaded(folder)
    file.change(1, Difference((one(1), one(2)), ()))
    file.change(2, Difference((), ("person-1",)))
    before = (folder / JOURNAL).read_bytes()
    file.compact()
    file.close()
    (folder / JOURNAL).write_bytes(before)

    again = loaded(folder)

    assert (again.generation, set(again.entries)) == (2, {"person-2"})
    again.close()


def test_a_half_written_snapshot_is_never_seen(folder: Path):
    file = loaded(folder)
    file.change(1, Difference((one(1),), ()))
    file.compact()
    file.close()
    (folder / (SNAPSHOT + ".new")).write_bytes(b"half")

    assert loaded(folder).generation == 1


@pytest.mark.parametrize(
    ("at", "kept"), [(0, {1, 2}), (10, {1, 2}), (25, {1, 2}), (-1, {1}), (-60, {1})]
)
def test_a_damaged_snapshot_claims_nothing_and_serves_what_is_readable(
    folder: Path, at: int, kept: set[int]
):
    file = loaded(folder)
    file.change(5, Difference((one(1), one(2)), ()))
    file.compact()
    file.change(6, Difference((one(3),), ()))
    file.close()
    flip(folder / SNAPSHOT, at)

    again = loaded(folder)

    assert "damaged" in again.damage
    assert again.generation == 0
    assert again.entries == {one(number).email: one(number) for number in {*kept, 3}}
    assert (folder / (SNAPSHOT + ".damaged")).exists()
    again.close()
    still = loaded(folder)  # until the control plane sends the whole set
    assert (still.generation, still.entries, still.damage) == (0, again.entries, again.damage)
    still.change(7, Difference((one(1), one(2)), ()))
    still.close()
    mended = loaded(folder)
    assert (mended.generation, len(mended.entries), mended.damage) == (7, 3, "")
    mended.close()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    path.write_bytes(data)


@pytest.mark.usefixtures("quick_disk")
def test_any_flipped_bit_of_the_journal_is_noticed_and_costs_one_record(folder: Path):
    file = loaded(folder)
    for number in range(1, 6):
        file.change(number, Difference((one(number),), ()))
    file.close()
    whole = (folder / JOURNAL).read_bytes()

    for at in range(len(whole)):
        (folder / SNAPSHOT).unlink(missing_ok=True)
        (folder / JOURNAL).write_bytes(whole)
        flip(folder / JOURNAL, at)
        again = loaded(folder)
        again.close()
        assert again.damage, at
        assert (again.generation, len(again.entries)) == (0, 4), at
        assert (folder / (JOURNAL + ".damaged")).exists()


def test_a_lost_snapshot_is_noticed_by_what_the_journal_goes_on_from(folder: Path):
    file = loaded(folder)
    file.change(1, Difference((one(1),), ()))
    file.compact()
    file.change(2, Difference((one(2),), ()))
    file.close()
    (folder / SNAPSHOT).unlink()

    again = loaded(folder)

    assert "missing" in again.damage
    assert (again.generation, set(again.entries)) == (0, {"person-2"})
    again.close()


def test_a_snapshot_of_the_first_version_is_read(folder: Path):
    old = {"version": 1, "sequence": 3, "generation": 9, "entries": [one(1)], "core": "life"}
    journal.replace(folder / SNAPSHOT, journal.framed(msgspec.msgpack.encode(old)))

    again = loaded(folder)

    assert (again.generation, again.core, again.damage) == (9, "life", "")
    assert again.entries == {"person-1": one(1)}
    again.close()


def test_the_journal_is_compacted_and_stays_small(folder: Path):
    file = loaded(folder)
    many = tuple(one(number) for number in range(3_000))
    for generation in range(1, 20):
        file.change(generation, Difference(many, ()))
    file.close()

    assert (folder / JOURNAL).stat().st_size < 2 << 20
    again = loaded(folder)
    assert (again.generation, len(again.entries)) == (19, 3_000)
    again.close()


def test_a_confirmed_change_is_in_doubt_no_more(folder: Path):
    file = loaded(folder)
    file.change(1, Difference((one(1),), ("person-9",)))
    assert loaded(folder).doubt == {"person-1", "person-9"}
    file.confirm("life-1")
    file.close()

    again = loaded(folder)

    assert (again.doubt, again.core) == (set(), "life-1")


def test_an_append_that_fails_leaves_the_journal_readable(folder: Path, monkeypatch):
    log = journal.Journal(folder / "log")
    log.open()
    log.append(b"first")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(journal.os, "fdatasync", full)
        with pytest.raises(OSError, match="No space"):
            log.append(b"second")
    log.append(b"third")
    log.close()

    assert journal.Journal(folder / "log").open() == [b"first", b"third"]
