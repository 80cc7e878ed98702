"""Which API calls came, and what became of them."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

CALLS_MAX = 100_000


@dataclass(slots=True)
class Call:
    id: int
    method: str
    verb: str
    params: dict[str, Any]
    at: float
    status: int = 0  # 0: never answered
    error: str | None = None
    fault: str | None = None
    duration_ms: float = 0.0


class CallLog:
    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=CALLS_MAX)
        self._last_id = 0

    def note(self, method: str, verb: str, params: dict[str, Any]) -> Call:
        self._last_id += 1
        shown = {name: str(value) for name, value in params.items()}
        call = Call(self._last_id, method, verb, shown, time.time())
        self._calls.append(call)
        return call

    def find(self, method: str, after: int) -> list[Call]:
        """`method` empty: all of them."""
        wanted = method.lower()
        return [
            call
            for call in self._calls
            if call.id > after and (not wanted or call.method.lower() == wanted)
        ]

    def clear(self) -> None:
        self._calls.clear()
