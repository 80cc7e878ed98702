"""Decides, event by event, what goes wrong on purpose."""

import random
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from simulators.telegram.errors import ControlError

# Spoil the answer to an API call.
ANSWER_KINDS = frozenset(
    {"400", "401", "429", "500", "502", "503", "hang", "reset", "lost_answer", "late_call"}
)
# Spoil the delivery of a webhook.
WEBHOOK_KINDS = frozenset({"duplicate", "reorder", "late", "replay", "lost"})
KINDS = ANSWER_KINDS | WEBHOOK_KINDS | {"latency"}
NOT_WISHED = {"id", "fired"}


@dataclass(slots=True)
class Fault:
    id: int
    kind: str
    times: int | None = None  # None: until cleared
    probability: float = 1.0
    method: str = "*"  # for answers: which API method
    seconds: float = 0.0  # of hang, late, latency, late_call and reorder
    after: bool = False  # for answers: the method is carried out first
    name: str | None = None  # of the error
    copies: int = 1  # of duplicate
    exclude: list[str] = field(default_factory=list)
    fired: int = 0

    @property
    def left(self) -> bool:
        return self.times is None or self.times > 0

    @property
    def subject(self) -> int | str | None:
        """For webhooks and payments: what it is about; None: everything."""
        return None

    def concerns_method(self, method: str) -> bool:
        if self.method == "*":
            return method not in self.exclude
        return self.method == method


AnyFault = TypeVar("AnyFault", bound=Fault)


class Faults(Generic[AnyFault]):
    def __init__(
        self,
        seed: int,
        fault_class: type[AnyFault],
        *,
        kinds: frozenset[str] = frozenset(),
        lost_method: str = "*",
    ) -> None:
        """`kinds`: those this provider has besides the usual ones."""
        self._seed = seed
        self._fault_class = fault_class
        self._kinds = KINDS | kinds
        self._lost_method = lost_method
        self._random = random.Random(seed)
        self._ordered: list[AnyFault] = []
        self._last_id = 0

    def add(self, **wish: Any) -> AnyFault:
        kind = str(wish.get("kind", ""))
        if kind not in self._kinds:
            raise ControlError(f"unknown kind {kind!r}; known: {', '.join(sorted(self._kinds))}")
        known = {known.name for known in fields(self._fault_class)} - NOT_WISHED
        if unknown := wish.keys() - known:
            raise ControlError(f"unknown field {min(unknown)!r}")
        if kind == "lost_answer":
            # Something was made and nobody was told.
            wish = {"method": self._lost_method, **wish, "after": True}
        fault = self._fault_class(id=self._last_id + 1, **{**wish, "kind": kind})
        fault.method = fault.method.lower()
        fault.exclude = [method.lower() for method in fault.exclude]
        self._last_id = fault.id
        self._ordered.append(fault)
        return fault

    def clear(self) -> None:
        self._ordered.clear()

    def reset(self) -> None:
        self.clear()
        self._random = random.Random(self._seed)

    def remove(self, fault_id: int) -> None:
        self._ordered = [fault for fault in self._ordered if fault.id != fault_id]

    def ordered(self) -> list[AnyFault]:
        return list(self._ordered)

    def latency(self, method: str) -> float:
        return sum(
            fault.seconds
            for fault in self._ordered
            if fault.kind == "latency" and fault.concerns_method(method) and self._fires(fault)
        )

    def answer(self, method: str) -> AnyFault | None:
        """The first fault that spoils this call."""
        for fault in self._ordered:
            wanted = fault.kind in ANSWER_KINDS and fault.concerns_method(method)
            if wanted and self._fires(fault):
                return fault
        return None

    def about(self, kind: str, subject: int | str) -> AnyFault | None:
        """The first fault of this kind that concerns this subject; it is used up by one."""
        for fault in self._ordered:
            wanted = fault.kind == kind and fault.subject in {None, subject}
            if wanted and self._fires(fault):
                return fault
        return None

    def _fires(self, fault: AnyFault) -> bool:
        if not fault.left:
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        if fault.times is not None:
            fault.times -= 1
        fault.fired += 1
        return True
