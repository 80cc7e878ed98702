"""The generator's table of contents: which command goes to which handler.

| subject | handler | ack policy | retries |
|---|---|---|---|
| generator.cmd.cancel_job.v1 | cancel_job | after the answer is stored | 1 s later, without end |
| jobs.<pool>.<lane> | run_job | after the terminal event is stored | domain/attempts.py |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from contracts.generator import CancelJob

STREAM = "GENERATOR"
CONSUMER = "generator"
Handler = Callable[[Any], Awaitable[None]]


def table(*, cancel_job: Handler) -> dict[str, tuple[type[CancelJob], Handler]]:
    """Jobs are not here: they are claimed one by one (handlers/slot.py)."""
    return {CancelJob.subject: (CancelJob, cancel_job)}
