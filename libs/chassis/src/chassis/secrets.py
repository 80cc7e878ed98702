"""Secrets that may change under a running process: read from their file when they are used."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from chassis import logs
from chassis.clock import Clock, SystemClock
from chassis.errors import ConfigurationError

log = logs.get("chassis.secrets")
Secret = Callable[[], str]
"""Asked each time the secret is used; it answers with what is true then."""
Check = Callable[[str, str], str]
"""Takes a text and the one before it ("" at the start); says what is wrong with it, or ""."""


def one_word(text: str, before: str) -> str:
    """Take what a header, an address or a password can be: anything printable without spaces."""
    del before
    fine = text.isprintable() and not any(each.isspace() for each in text)
    return "" if fine else "holds white space or control characters"


class SecretFile:
    """A secret's text, as its file has it now; what cannot be taken leaves the text before it."""

    def __init__(
        self, file: Path, *, name: str, check: Check = one_word, empty: bool = False
    ) -> None:
        """Raise ConfigurationError when the file holds nothing that could be used.

        `empty`: nothing is something too, as in a list that holds none any more.
        """
        self._file = file
        self._name = name
        self._check = check
        self._empty = empty
        self._text = ""
        self._taken = False
        self._wrong = ""
        """What is wrong with the text that was last judged."""
        self._seen: object = None
        """What its file was then."""
        self._refused = False
        """`check` refused it. That may depend on other files, so it is judged at each look."""
        self._told: object = None
        """What was last complained about, so that it is said once."""
        if wrong := self._read():
            raise ConfigurationError(f"{name}: {file} {wrong}")

    def __call__(self) -> str:
        """Look whether the file is another one by now, and return the secret."""
        wrong = self._read()
        complaint = (wrong, self._seen) if wrong else None
        if complaint is not None and complaint != self._told:
            log.error("secret_not_taken", secret=self._name, reason=f"{self._file} {wrong}")
        self._told = complaint
        return self._text

    def _read(self) -> str:
        """Take what the file holds now; say what is wrong with it, or ""."""
        try:
            # Before reading: what is swapped in between is another file at the next look.
            state = _identity(self._file)
            if state == self._seen and not self._refused:
                return self._wrong
            text = self._file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            # Not remembered as seen: a disk that fails once is asked again.
            self._seen = None
            return f"cannot be read: {type(error).__name__}"
        self._seen = state
        self._wrong = self._judged(text)
        self._refused = bool(text and self._wrong)
        if self._wrong:
            return self._wrong
        if self._taken and text != self._text:
            log.info("secret_changed", secret=self._name)
        self._text, self._taken = text, True
        return ""

    def _judged(self, text: str) -> str:
        if text:
            return self._check(text, self._text)
        return "" if self._empty else "is empty"


def _identity(file: Path) -> object:
    """What differs for another file, also behind the symbolic link that a mounted Secret swaps."""
    at = file.stat()
    # With the time of the last change to the inode: rights that were mended count as one.
    return (at.st_dev, at.st_ino, at.st_mtime_ns, at.st_ctime_ns, at.st_size)


def of(
    value: SecretStr, file: str, *, name: str, check: Check = one_word, empty: bool = False
) -> Secret:
    """Return a setting's secret: its file's, or the value that never changes. A file wins.

    `name` is the variable's, without `_FILE`. Raises ConfigurationError when it cannot be used.
    """
    if file:
        return SecretFile(Path(file), name=f"{name}_FILE", check=check, empty=empty)
    text = value.get_secret_value()
    if text and (wrong := check(text, "")):
        raise ConfigurationError(f"{name} {wrong}")
    return lambda: text


class Overlap:
    """A secret that others show to us: after a change the one before is known for a while."""

    def __init__(self, secret: Secret, *, overlap: timedelta, clock: Clock) -> None:
        self._secret = secret
        self._overlap = overlap
        self._clock = clock
        self._current = secret()
        self._former: dict[str, datetime] = {}
        """Until when each is known."""

    @classmethod
    def fixed(cls, text: str) -> Overlap:
        """Return one that never changes."""
        return cls(lambda: text, overlap=timedelta(0), clock=SystemClock())

    def current(self) -> str:
        """Return the secret, and begin the overlap when it is another one than before."""
        text = self._secret()
        if text != self._current:
            self._former[self._current] = self._clock.now() + self._overlap
            self._former.pop(text, None)
            self._current = text
        return text

    def known(self) -> tuple[str, ...]:
        """Return the secret, and those before it that still count."""
        current = self.current()
        if self._former:
            now = self._clock.now()
            self._former = {text: until for text, until in self._former.items() if now < until}
        return (current, *self._former)

    def knows(self, given: bytes) -> bool:
        """Compare in constant time, on bytes: of str only ASCII can be compared."""
        return any(hmac.compare_digest(given, each.encode()) for each in self.known())
