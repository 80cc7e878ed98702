"""Spans of publishing and asking, named by subject template and never by a subject with ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind

from chassis import tracing
from contracts.envelope import HEADER_ID, HEADER_TRACE
from contracts.gateway import UPDATES_SUBJECT
from contracts.generator import PROGRESS_SUBJECT, RunJob

BATCH_LINKS_MAX = 128
_tracer = trace.get_tracer("vitrine.messaging")
_TEMPLATES = {
    template.partition("{")[0]: template
    for template in (RunJob.subject, UPDATES_SUBJECT, PROGRESS_SUBJECT)
}
_PLACES = {"$KV.": "{key}", "$O.": "{object}"}


class Carrier(Protocol):
    @property
    def subject(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


@lru_cache(maxsize=1024)
def template_of(subject: str) -> str:
    """Return the subject as contracts declare it: ids and shard numbers stay out of span names."""
    for start, template in _TEMPLATES.items():
        if subject.startswith(start):
            return template
    for start, place in _PLACES.items():
        if subject.startswith(start):
            return ".".join([*subject.split(".")[:2], place])
    return subject


def attributes(name: str, kind: str, template: str) -> dict[str, str | int]:
    return {
        "messaging.system": "nats",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.template": template,
    }


@contextmanager
def publishing(subject: str, headers: MutableMapping[str, str]) -> Iterator[Span]:
    """A publish. A traceparent already in the headers is kept and linked to; else ours goes in."""
    template = template_of(subject)
    given = headers.get(HEADER_TRACE, "")
    kind = SpanKind.CLIENT if given else SpanKind.PRODUCER
    with tracing.span(
        f"publish {template}",
        kind=kind,
        link=given,
        attributes=attributes("publish", "send", template)
        | {"messaging.message.id": headers.get(HEADER_ID, "")},
    ) as span:
        if not given and (ours := tracing.inject(span)):
            headers[HEADER_TRACE] = ours
        yield span


@contextmanager
def publishing_batch(messages: Sequence[Carrier]) -> Iterator[Span]:
    """Several messages to one stream: one span, linked to what each of them continues."""
    templates = {template_of(message.subject) for message in messages}
    template = templates.pop() if len(templates) == 1 else "batch"
    # Without a provider every span is the same dead one: then links are not worth reading.
    probe = trace.get_current_span()
    links = list(_links(messages)) if probe.is_recording() or _has_provider() else []
    with _tracer.start_as_current_span(
        f"publish {template}",
        kind=SpanKind.CLIENT,
        links=links,
        attributes=attributes("publish", "send", template)
        | {"messaging.batch.message_count": len(messages)},
    ) as span:
        yield span


def _links(messages: Sequence[Carrier]) -> Iterator[Link]:
    for message in messages[:BATCH_LINKS_MAX]:
        parent = tracing.extract(message.headers.get(HEADER_TRACE, ""))
        linked = trace.get_current_span(parent).get_span_context()
        if linked.is_valid:
            yield Link(linked)


def _has_provider() -> bool:
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
