"""Structured logs: JSON lines in pods, coloured lines on a terminal. Never user text or secrets."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from opentelemetry import trace


def configure(*, service: str, log_format: str, level: str) -> None:
    """Set up structlog and the standard library's root logger for this process."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    if log_format == "json":
        shared += [structlog.processors.format_exc_info]
        renderer: Any = structlog.processors.JSONRenderer()
    else:
        # Plain: a rich traceback shows every local, and a local may be a secret or a person's text.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(),
            pad_event_to=28,
            exception_formatter=structlog.dev.plain_traceback,
        )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Patient(sys.stdout))),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stdout, force=True)


class Patient:
    """A stream that takes what it can: a full disk must not stop the work that is told of.

    What it could not take is mostly in its buffer still, and written with a later line.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def get(name: str) -> Any:
    """Return the logger of a component, e.g. `billing.orders`."""
    return structlog.get_logger(component=name)


def _add_trace(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event.setdefault("trace_id", f"{context.trace_id:032x}")
    return event
