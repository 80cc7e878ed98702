"""The log of every prompt ever posted here; unlike ComfyUI's own state it survives restarts."""

import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

RECORDS_MAX = 100_000


def now_ms() -> float:
    return time.time() * 1000


@dataclass
class PromptRecord:
    prompt_id: str
    number: float
    client_id: str | None
    extra_data: dict[str, Any]
    posted_at_ms: float
    incarnation: int
    started_ms: float | None = None
    ended_ms: float | None = None
    outcome: str = "pending"
    nodes_executed: int = 0


class PromptLog:
    def __init__(self) -> None:
        self._records: list[PromptRecord] = []
        self._latest: dict[str, PromptRecord] = {}
        # An id may be posted more than once: postings of one id start in the order they came.
        self._unstarted: dict[str, deque[PromptRecord]] = {}

    def posted(self, record: PromptRecord) -> None:
        if len(self._records) >= RECORDS_MAX:
            self._latest.pop(self._records.pop(0).prompt_id, None)
        self._records.append(record)
        self._latest[record.prompt_id] = record
        self._unstarted.setdefault(record.prompt_id, deque()).append(record)

    def started(self, prompt_id: str) -> None:
        record = self._take_unstarted(prompt_id)
        record.started_ms = now_ms()
        record.outcome = "running"
        self._latest[prompt_id] = record

    def deleted(self, prompt_id: str) -> None:
        record = self._take_unstarted(prompt_id)
        record.ended_ms = now_ms()
        record.outcome = "deleted"

    def _take_unstarted(self, prompt_id: str) -> PromptRecord:
        waiting = self._unstarted[prompt_id]
        record = waiting.popleft()
        if not waiting:
            del self._unstarted[prompt_id]
        return record

    def ended(self, prompt_id: str, outcome: str) -> None:
        record = self._latest[prompt_id]
        record.ended_ms = now_ms()
        record.outcome = outcome

    def executed_node(self, prompt_id: str) -> None:
        self._latest[prompt_id].nodes_executed += 1

    def process_died(self) -> None:
        """Everything unfinished is lost with the process."""
        self._unstarted.clear()
        for record in self._records:
            if record.outcome in {"pending", "running"}:
                record.outcome = "lost"
                record.ended_ms = now_ms()

    def records(self) -> list[PromptRecord]:
        return list(self._records)

    def describe(self) -> list[dict[str, Any]]:
        return [asdict(record) for record in self._records]
