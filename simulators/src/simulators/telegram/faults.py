"""Decides, call by call, what goes wrong on purpose."""

import math
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulators.telegram.errors import ControlError

if TYPE_CHECKING:
    from simulators.telegram.updates import Update

ANSWER_KINDS = {"429", "400", "403", "500", "502", "hang", "reset"}
UPDATE_KINDS = {"duplicate_updates", "out_of_order_updates"}
KINDS = ANSWER_KINDS | UPDATE_KINDS | {"latency", "rate_limit", "charge_back"}
ALIASES = {
    "duplicate": "duplicate_updates",
    "out_of_order": "out_of_order_updates",
    "connection_reset": "reset",
}
MESSAGE_METHODS = ("send", "edit", "copy", "forward")
NOT_LIMITED = {"sendchataction", "sendmessagedraft"}


@dataclass(slots=True)
class Fault:
    id: int
    kind: str
    method: str = "*"
    chat_id: int | None = None
    times: int | None = None
    probability: float = 1.0
    seconds: float = 0.0
    retry_after: int = 1
    description: str | None = None
    silent: bool = False  # of charge_back: only the statement says so
    after: bool = False  # the method is carried out first, then its answer is lost
    html: bool = False  # a proxy's page instead of JSON
    exclude: list[str] = field(default_factory=list)
    per_second: float | None = None
    per_chat_per_second: float | None = None
    per_group_per_minute: float | None = None
    fired: int = 0

    def matches(self, method: str, chat_id: int | None) -> bool:
        if self.times is not None and self.times <= 0:
            return False
        if self.method == "*":
            wanted = method != "file" and method not in self.exclude
        else:
            wanted = self.method == method
        return wanted and (self.chat_id is None or self.chat_id == chat_id)


class Faults:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = random.Random(seed)
        self._active: list[Fault] = []
        self._next_id = 1
        self._sent: deque[float] = deque()
        self._sent_to: dict[int, deque[float]] = {}

    def add(self, **wish: Any) -> Fault:
        kind = str(wish.get("kind", ""))
        kind = ALIASES.get(kind, kind)
        if kind not in KINDS:
            raise ControlError(f"unknown kind {kind!r}; known: {', '.join(sorted(KINDS))}")
        known = {name for name in Fault.__slots__ if name not in {"id", "fired"}}
        if unknown := wish.keys() - known:
            raise ControlError(f"unknown field {min(unknown)!r}")
        fault = Fault(id=self._next_id, **{**wish, "kind": kind})
        fault.method = fault.method.lower()
        fault.exclude = [method.lower() for method in fault.exclude]
        self._next_id += 1
        self._active.append(fault)
        return fault

    def clear(self) -> None:
        self._active.clear()
        self._sent.clear()
        self._sent_to.clear()

    def reset(self) -> None:
        self.clear()
        self._random = random.Random(self.seed)

    def remove(self, fault_id: int) -> None:
        self._active = [fault for fault in self._active if fault.id != fault_id]

    def active(self) -> list[Fault]:
        return [fault for fault in self._active if fault.times is None or fault.times > 0]

    def _fires(self, fault: Fault) -> bool:
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        if fault.times is not None:
            fault.times -= 1
        fault.fired += 1
        return True

    def latency(self, method: str, chat_id: int | None) -> float:
        return sum(
            fault.seconds
            for fault in self._active
            if fault.kind == "latency" and fault.matches(method, chat_id) and self._fires(fault)
        )

    def pick(self, method: str, chat_id: int | None) -> Fault | None:
        """The first fault that spoils this call."""
        for fault in self._active:
            wanted = fault.kind in ANSWER_KINDS and fault.matches(method, chat_id)
            if wanted and self._fires(fault):
                return fault
        return None

    def charge_back(self, user_id: int) -> Fault | None:
        """The fault that has this payer's money called back as soon as it was paid."""
        for fault in self._active:
            left = fault.times is None or fault.times > 0
            concerned = fault.kind == "charge_back" and fault.chat_id in {None, user_id}
            if concerned and left and self._fires(fault):
                return fault
        return None

    # --- updates ----------------------------------------------------------------------------

    def _update_fault(self, kind: str) -> bool:
        for fault in self._active:
            left = fault.times is None or fault.times > 0
            if fault.kind == kind and left and self._fires(fault):
                return True
        return False

    def will_reorder(self) -> bool:
        return any(
            fault.kind == "out_of_order_updates" and (fault.times is None or fault.times > 0)
            for fault in self._active
        )

    def reorder_now(self) -> bool:
        return self._update_fault("out_of_order_updates")

    def duplicate_now(self) -> bool:
        return self._update_fault("duplicate_updates")

    def disturb(self, batch: "list[Update]") -> "list[Update]":
        """The same updates, some of them twice or in another order."""
        disturbed = list(batch)
        for at in range(len(disturbed) - 1, 0, -1):
            if self.will_reorder() and self.reorder_now():
                disturbed[at - 1], disturbed[at] = disturbed[at], disturbed[at - 1]
        return [
            copy for update in disturbed for copy in [update] * (2 if self.duplicate_now() else 1)
        ]

    # --- rate limits ------------------------------------------------------------------------

    def rate_limit(self, method: str, chat_id: int | None) -> int | None:
        """Seconds to wait when this message would be one too many; None when it may go."""
        limit = next((fault for fault in self._active if fault.kind == "rate_limit"), None)
        if limit is None or method in NOT_LIMITED or not method.startswith(MESSAGE_METHODS):
            return None
        now = time.monotonic()
        checks: list[tuple[deque[float], float, float]] = []
        if limit.per_second:
            checks.append((self._sent, limit.per_second, 1.0))
        if chat_id is not None:
            own = self._sent_to.setdefault(chat_id, deque())
            if limit.per_chat_per_second:
                checks.append((own, *_at_least_one(limit.per_chat_per_second)))
            if limit.per_group_per_minute and chat_id < 0:
                checks.append((own, limit.per_group_per_minute, 60.0))
        for sent, allowed, window in checks:
            recent = [moment for moment in sent if moment > now - window]
            if len(recent) >= allowed:
                limit.fired += 1
                return max(1, math.ceil(recent[0] + window - now))
        for sent in {id(sent): sent for sent, _, _ in checks}.values():
            sent.append(now)
            while sent[0] < now - 60:
                sent.popleft()
        return None


def _at_least_one(per_second: float) -> tuple[float, float]:
    """0.5 a second means one in two seconds."""
    return (per_second, 1.0) if per_second >= 1 else (1.0, 1.0 / per_second)
