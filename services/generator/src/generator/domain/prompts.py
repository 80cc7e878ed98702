"""Where a prompt is in ComfyUI, as its HTTP answers tell it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from generator.domain.failures import Failure, of_execution_error


class Where(StrEnum):
    """LOST: ComfyUI knows nothing of it: never posted, deleted, or forgotten by a restart."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a prompt ended. No failure and not interrupted: success."""

    outputs: dict[str, Any]
    interrupted: bool = False
    failure: Failure | None = None
    run_seconds: float = 0.0


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at a prompt showed; `ending` only where it ended."""

    where: Where
    ending: Ending | None = None


class QueuedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    prompt_id: str
    number: float
    note: dict[str, Any]
    """Our part of extra_data; empty for somebody else's prompt."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    running: tuple[QueuedPrompt, ...] = ()
    pending: tuple[QueuedPrompt, ...] = ()

    def where(self, prompt_id: str) -> Where:
        if any(item.prompt_id == prompt_id for item in self.running):
            return Where.RUNNING
        if any(item.prompt_id == prompt_id for item in self.pending):
            return Where.PENDING
        return Where.LOST


NOTE_KEY = "vitrine"
_MILLISECONDS = 1000.0


def ending_of(entry: Mapping[str, Any]) -> Ending:
    """Read one entry of /history: an interruption says "error" there too."""
    status = entry.get("status") or {}
    messages = status.get("messages") or []
    outputs = dict(entry.get("outputs") or {})
    seconds = _run_seconds(messages)
    if status.get("status_str") == "success":
        return Ending(outputs=outputs, run_seconds=seconds)
    name, data = messages[-1] if messages else ("", {})
    if name == "execution_interrupted":
        return Ending(outputs=outputs, interrupted=True, run_seconds=seconds)
    return Ending(outputs=outputs, failure=of_execution_error(data), run_seconds=seconds)


def _run_seconds(messages: list[Any]) -> float:
    times = [data["timestamp"] for _, data in messages if "timestamp" in data]
    return (max(times) - min(times)) / _MILLISECONDS if times else 0.0


def queue_of(body: Mapping[str, Any]) -> Queue:
    """Read GET /queue; `queue_pending` comes in heap order, not in the order it will run."""
    pending = sorted(map(_queued, body.get("queue_pending") or ()), key=lambda item: item.number)
    running = map(_queued, body.get("queue_running") or ())
    return Queue(running=tuple(running), pending=tuple(pending))


def _queued(item: list[Any]) -> QueuedPrompt:
    note = item[3].get(NOTE_KEY) if isinstance(item[3], Mapping) else None
    return QueuedPrompt(
        prompt_id=str(item[1]),
        number=float(item[0]),
        note=dict(note) if isinstance(note, Mapping) else {},
    )
