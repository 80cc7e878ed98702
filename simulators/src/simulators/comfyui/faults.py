"""The book of faults a test has ordered: which are armed, for whom, how many times."""

import json
from dataclasses import dataclass, field
from typing import Any

# Faults that strike while a prompt runs, in the worker.
EXECUTION_KINDS = frozenset(
    {
        "error",
        "oom",
        "cuda_sticky",
        "hard_exit",
        "restart",
        "worker_death",
        "hang",
        "block",
        "lost",
        "disk_full",
        "ws_close",
        "ws_silent",
        "history_delay",
    }
)
# Faults that strike an HTTP request.
REQUEST_KINDS = frozenset(
    {
        "prompt_500_queued",
        "prompt_500_not_queued",
        "slow_prompt",
        "payload_too_large",
        "slow_view",
        "view_404",
        "view_truncated",
        "http_error",
        "startup_delay",
    }
)
KINDS = EXECUTION_KINDS | REQUEST_KINDS
UNLIMITED = -1


class UnknownFaultError(ValueError):
    """Somebody ordered a fault this simulator does not know."""


@dataclass
class Fault:
    kind: str
    times: int = 1
    match: str = ""
    seconds: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def concerns(self, text: str) -> bool:
        return self.times != 0 and self.match in text

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "times": self.times,
            "match": self.match,
            "seconds": self.seconds,
            **self.options,
        }


class FaultBook:
    """Armed faults, oldest first; taking one uses up one of its `times`."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, order: dict[str, Any]) -> Fault:
        fields = dict(order)
        kind = fields.pop("kind", None)
        if kind not in KINDS:
            raise UnknownFaultError(f"unknown fault {kind!r}; known: {', '.join(sorted(KINDS))}")
        fault = Fault(
            kind=kind,
            times=int(fields.pop("times", 1)),
            match=str(fields.pop("match", "")),
            seconds=float(fields.pop("seconds", 0.0)),
            options=fields,
        )
        self._armed.append(fault)
        return fault

    def take(self, kind: str, text: str = "") -> Fault | None:
        """The oldest armed fault of this kind that concerns the text, used up by one."""
        for fault in self._armed:
            if fault.kind == kind and fault.concerns(text):
                if fault.times != UNLIMITED:
                    fault.times -= 1
                if fault.times == 0:
                    self._armed.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        self._armed.clear()

    def describe(self) -> list[dict[str, Any]]:
        return [fault.describe() for fault in self._armed]


def searchable(graph: Any, extra_data: Any, prompt_id: str) -> str:
    """What a fault's `match` is looked for in: the prompt's id, graph and extra data."""
    return f"{prompt_id} {json.dumps(extra_data)} {json.dumps(graph)}"
