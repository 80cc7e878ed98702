"""Log lines of all children on one terminal: a colour per service, JSON turned into sentences."""

import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

LOG_BYTES_MAX = 20_000_000
NAME_WIDTH = 11
EVENT_WIDTH = 32
TRACE_DIGITS = 8

COLOURS: Mapping[str, int] = {
    "gateway": 36,
    "billing": 32,
    "generator": 35,
    "scheduler": 33,
    "vpn": 34,
    "telegram": 96,
    "comfyui": 95,
    "crypto_pay": 93,
    "yookassa": 93,
    "postgres": 94,
    "nats": 92,
    "traces": 90,
    "vitrine": 97,
}
# Kept in the file, not shown: forty lines of a server that starts as it always does.
UNSHOWN: Mapping[str, re.Pattern[str]] = {"nats": re.compile(r"\[INF\]")}
# nats-server stamps its lines itself: "[pid] 2026/11/21 23:47:49.324125 ".
OWN_STAMP = re.compile(r"^\[\d+\] \d{4}/\d\d/\d\d [\d:.]+ ")
LEVELS: Mapping[str, int] = {"warning": 33, "error": 31, "critical": 31}
# Told by the prefix, or of no use to a reader.
SILENT_KEYS = frozenset({"service", "event", "level", "timestamp", "component", "exception"})


class Console:
    """Prints what children say and keeps every line as it came in one file per child."""

    def __init__(self, log_dir: Path, *, raw: bool, stream: TextIO = sys.stdout) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._raw = raw
        self._stream = stream
        self._coloured = stream.isatty()
        self._writing = threading.Lock()
        self._sinks: dict[str, Callable[[str], None]] = {}

    def sink(self, name: str) -> Callable[[str], None]:
        """The function that takes one child's lines, from any thread."""
        if name not in self._sinks:
            self._sinks[name] = self._new_sink(name)
        return self._sinks[name]

    def _new_sink(self, name: str) -> Callable[[str], None]:
        path = self._log_dir / f"{name}.log"
        file = path.open("w", buffering=1)
        written = 0

        def take(line: str) -> None:
            nonlocal written
            written += len(line) + 1
            if written > LOG_BYTES_MAX:
                # Start over: a development log is read near its end.
                file.seek(0)
                file.truncate()
                written = len(line) + 1
            file.write(line + "\n")
            if self._raw:
                self._print(line)
            elif name not in UNSHOWN or not UNSHOWN[name].search(line):
                self._print(self._readable(name, line))

        return take

    def say(self, text: str, *, bad: bool = False) -> None:
        """A line of the supervisor itself."""
        name = self._paint(f"{'vitrine':<{NAME_WIDTH}}", COLOURS["vitrine"])
        self._print(f"{_now()} {name} {self._paint(text, 31 if bad else 1)}")

    def block(self, text: str) -> None:
        """Several lines that nothing comes between."""
        self._print(text.rstrip("\n"))

    def _print(self, text: str) -> None:
        with self._writing:
            self._stream.write(text + "\n")
            self._stream.flush()

    def _readable(self, name: str, line: str) -> str:
        colour = COLOURS.get(name.partition("-")[0], 37)
        prefix = self._paint(f"{name:<{NAME_WIDTH}}", colour)
        try:
            fields = json.loads(line)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            return f"{_now()} {prefix} {OWN_STAMP.sub('', line)}"
        return f"{_time_of(fields)} {prefix} {self._sentence(fields)}"

    def _sentence(self, fields: Mapping[str, Any]) -> str:
        level = str(fields.get("level", ""))
        text = f"{fields.get('event', '')!s:<{EVENT_WIDTH}}"
        if level in LEVELS:
            text = self._paint(f"{level.upper()} {text}", LEVELS[level])
        for key, value in fields.items():
            if key in SILENT_KEYS:
                continue
            shown = str(value)[:TRACE_DIGITS] if key == "trace_id" else str(value)
            text += f" {self._paint(f'{key}=', 2)}{shown}"
        if exception := fields.get("exception"):
            text += f"\n{exception}"
        return text

    def _paint(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text


def _time_of(fields: Mapping[str, Any]) -> str:
    try:
        moment = datetime.fromisoformat(str(fields["timestamp"]))
    except (KeyError, ValueError):
        return _now()
    return f"{moment.astimezone():%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _now() -> str:
    moment = datetime.now(tz=UTC).astimezone()
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
