"""Answers kept by their Idempotence-Key: for a day the same question gets the same answer."""

import json
from dataclasses import dataclass
from typing import Any

from simulators.telegram.clock import SimClock
from simulators.telegram.store import Store
from simulators.yookassa.errors import ApiError

Json = dict[str, Any]

HEADER = "Idempotence-Key"
KEY_CHARACTERS_MAX = 64
KEPT_SECONDS = 86_400.0
KIND = "answer"


@dataclass(slots=True)
class Kept:
    key: str
    question: str
    answer: Json
    at: float


class Answers:
    def __init__(self, clock: SimClock, store: Store) -> None:
        self._clock = clock
        self._store = store
        self._kept = {body["key"]: Kept(**body) for body in store.load(KIND)}

    def find(self, key: str, path: str, body: Json) -> Json | None:
        """What was answered to this key before; raises ApiError when it asked something else."""
        if not key:
            raise ApiError("Idempotence key is missing", HEADER)
        if len(key) > KEY_CHARACTERS_MAX:
            raise ApiError("Idempotence key is too long", HEADER)
        kept = self._kept.get(key)
        if kept is None or kept.at + KEPT_SECONDS <= self._clock.now():
            return None
        if kept.question != question(path, body):
            raise ApiError("Idempotence key duplicated", HEADER)
        return kept.answer

    def keep(self, key: str, path: str, body: Json, answer: Json) -> None:
        kept = Kept(key, question(path, body), answer, self._clock.now())
        self._kept[key] = kept
        self._store.save(KIND, key, kept)

    def clear(self) -> None:
        self._kept.clear()


def question(path: str, body: Json) -> str:
    return f"{path} {json.dumps(body, sort_keys=True)}"
