"""Secrets as files: the next use has what the file has now, and nothing unusable is taken."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from chassis import secrets
from chassis.errors import ConfigurationError
from chassis.secrets import Overlap, SecretFile
from chassis.testing import FakeClock

OVERLAP = timedelta(minutes=10)


class Heard:
    """A logger that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    error = info

    def count(self, event: str) -> int:
        return [each for each, _ in self.lines].count(event)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    heard = Heard()
    monkeypatch.setattr(secrets, "log", heard)
    return heard


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("first\n")
    return file


class Mount:
    """A Secret as the kubelet mounts it: `..data` is swapped for another folder in one step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.file = folder / "bot-token"

    def swap(self, text: str) -> None:
        self._number += 1
        new = self._folder / f"..2026_11_22_{self._number}"
        new.mkdir()
        (new / "bot-token").write_text(text)
        # Of the same age and length as all the others: only the folder differs.
        os.utime(new / "bot-token", ns=(10**18, 10**18))
        link = self._folder / "..data_tmp"
        link.symlink_to(new.name)
        link.rename(self._folder / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/bot-token")


def test_the_next_use_has_the_new_text(file: Path, heard: Heard) -> None:
    secret = SecretFile(file, name="TOY_TOKEN_FILE")
    assert secret() == "first"

    file.write_text("second")

    assert secret() == "second"
    assert heard.lines == [("secret_changed", {"secret": "TOY_TOKEN_FILE"})]


def test_a_mounted_secret_is_swapped_behind_its_link(tmp_path: Path) -> None:
    mount = Mount(tmp_path)
    mount.swap("aaaaa")
    secret = SecretFile(mount.file, name="TOY_TOKEN_FILE")

    seen = []
    for text in ("bbbbb", "ccccc"):
        mount.swap(text)
        seen.append(secret())

    assert seen == ["bbbbb", "ccccc"]


def test_a_file_that_did_not_change_is_not_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = SecretFile(file, name="TOY_TOKEN_FILE")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("it was read"))

    assert [secret(), secret()] == ["first", "first"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_text(" \n"),
        lambda file: file.write_text("two\nlines"),
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["gone", "empty", "two lines", "no text", "a folder"],
)
def test_what_cannot_be_used_leaves_the_last_good_one_and_is_said_once(
    file: Path, heard: Heard, damage: Callable[[Path], object]
) -> None:
    secret = SecretFile(file, name="TOY_TOKEN_FILE")

    damage(file)

    assert [secret(), secret(), secret()] == ["first"] * 3
    assert heard.count("secret_not_taken") == 1
    ((_, fields),) = heard.lines
    assert str(file) in fields["reason"]
    assert "first" not in str(fields)
    assert "two" not in fields["reason"]


def test_each_change_for_the_worse_is_said_and_the_next_good_one_is_taken(
    file: Path, heard: Heard
) -> None:
    secret = SecretFile(file, name="TOY_TOKEN_FILE")

    for text in ("", "no good", "", "  "):
        file.write_text(text)
        assert [secret(), secret()] == ["first", "first"]
    file.write_text("second")

    assert secret() == "second"
    assert heard.count("secret_not_taken") == 4
    file.unlink()
    assert secret() == "second"
    assert heard.count("secret_not_taken") == 5


def test_a_check_judges_the_new_text_by_the_one_before(file: Path, heard: Heard) -> None:
    def longer(text: str, before: str) -> str:
        return "" if len(text) > len(before) else "is no longer than before"

    secret = SecretFile(file, name="TOY_TOKEN_FILE", check=longer)
    file.write_text("short")
    assert secret() == "first"
    file.write_text("longer than that")

    assert secret() == "longer than that"
    assert heard.lines[0][1]["reason"] == f"{file} is no longer than before"


def test_what_a_check_refused_is_judged_again_when_another_file_has_changed(
    file: Path, heard: Heard
) -> None:
    listed = {"first"}

    def follows(text: str, before: str) -> str:
        return "" if text in listed else "is not listed"

    secret = SecretFile(file, name="TOY_TOKEN_FILE", check=follows)
    file.write_text("second")
    assert [secret(), secret()] == ["first", "first"]
    assert heard.count("secret_not_taken") == 1
    listed.add("second")

    assert secret() == "second"
    file.write_text("third")
    assert [secret(), secret()] == ["second", "second"]
    file.write_text("fourth")
    assert [secret(), secret()] == ["second", "second"]
    assert heard.count("secret_not_taken") == 3


def test_a_list_may_be_empty_at_the_start_and_become_so(file: Path, heard: Heard) -> None:
    file.write_text("\n")
    secret = SecretFile(file, name="TOY_LIST_FILE", empty=True)
    assert secret() == ""

    seen = []
    for text in ("leaked", " \n"):
        file.write_text(text)
        seen.append(secret())

    assert seen == ["leaked", ""]
    assert heard.lines == [("secret_changed", {"secret": "TOY_LIST_FILE"})] * 2
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        SecretFile(file, name="TOY_LIST_FILE", empty=True)


@pytest.mark.parametrize("text", [None, "", "two words"], ids=["gone", "empty", "malformed"])
def test_a_start_without_a_usable_secret_is_one_clear_sentence(
    tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text)

    with pytest.raises(
        ConfigurationError, match=r"TOY_TOKEN_FILE: .*token (cannot|is|holds)"
    ) as no:
        secrets.of(SecretStr("from the environment"), str(file), name="TOY_TOKEN")

    assert "two words" not in str(no.value)


def test_the_environment_still_does_and_a_file_wins(file: Path) -> None:
    assert secrets.of(SecretStr("value"), "", name="TOY_TOKEN")() == "value"
    assert secrets.of(SecretStr("value"), str(file), name="TOY_TOKEN")() == "first"
    assert secrets.of(SecretStr(""), "", name="TOY_TOKEN")() == ""
    with pytest.raises(ConfigurationError, match="TOY_TOKEN holds white space"):
        secrets.of(SecretStr("two words"), "", name="TOY_TOKEN")


def test_the_former_secret_is_known_until_the_overlap_ends(file: Path) -> None:
    clock = FakeClock()
    overlap = Overlap(SecretFile(file, name="TOY"), overlap=OVERLAP, clock=clock)
    assert overlap.knows(b"first")
    assert not overlap.knows(b"second")

    file.write_text("second")
    assert overlap.knows(b"second")
    clock.advance(OVERLAP - timedelta(seconds=1))
    assert overlap.knows(b"first")
    clock.advance(timedelta(seconds=1))

    assert not overlap.knows(b"first")
    assert overlap.knows(b"second")
    assert not overlap.knows(b"")
    assert not overlap.knows("sécond".encode())


def test_a_secret_that_comes_back_outlives_its_overlap(file: Path) -> None:
    clock = FakeClock()
    overlap = Overlap(SecretFile(file, name="TOY"), overlap=OVERLAP, clock=clock)
    for text in ("second", "first"):
        file.write_text(text)
        assert overlap.current() == text

    clock.advance(2 * OVERLAP)

    assert overlap.knows(b"first")
    assert not overlap.knows(b"second")
