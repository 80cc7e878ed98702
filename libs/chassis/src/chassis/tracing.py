"""Spans and the traceparent that carries them through rows, messages and timers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("vitrine")
_NOTHING = Context()
Attributes = Mapping[str, str | int | float | bool]


def configure(*, service: str, endpoint: str) -> None:
    """Send spans to an OTLP/HTTP collector; with no endpoint nothing of the SDK is imported."""
    if not endpoint:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": service}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)


def end() -> None:
    """Hand over what is buffered; with a collector that hangs it takes long, and may be left."""
    # Not force_flush() before: while that hangs, the SDK's own hook at exit would wait as well.
    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
    if shutdown is not None:
        shutdown()


def inject(span: Span | None = None) -> str:
    """Return the traceparent of a span (default: the current one); empty outside any trace."""
    carrier: dict[str, str] = {}
    context = trace.set_span_in_context(span, _NOTHING) if span is not None else None
    _PROPAGATOR.inject(carrier, context=context)
    return carrier.get("traceparent", "")


def extract(traceparent: str) -> Context:
    """Return the context a traceparent names; an empty or malformed one names none."""
    if not traceparent:
        return _NOTHING
    return _PROPAGATOR.extract({"traceparent": traceparent}, context=_NOTHING)


def trace_id(traceparent: str) -> str:
    """Return the 32 hex digits of the trace, or an empty string."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 else ""  # noqa: PLR2004 - version-trace-parent-flags


def start(
    name: str,
    *,
    traceparent: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    link: str = "",
) -> Span:
    """Start a span that the caller ends. Its parent is `traceparent`, else the current span."""
    parent = extract(traceparent) if traceparent else None
    links = []
    if link:
        linked = trace.get_current_span(extract(link)).get_span_context()
        links = [Link(linked)] if linked.is_valid else []
    return _TRACER.start_span(
        name, context=parent, kind=kind, attributes=dict(attributes or {}), links=links
    )


@contextmanager
def span(
    name: str,
    *,
    traceparent: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    link: str = "",
) -> Iterator[Span]:
    """Run a block inside a span; an exception marks it failed with its class, never its text."""
    current = start(name, traceparent=traceparent, kind=kind, attributes=attributes, link=link)
    token = otel_context.attach(trace.set_span_in_context(current))
    try:
        yield current
    except BaseException as error:
        current.set_attribute("error.type", type(error).__qualname__)
        current.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        otel_context.detach(token)
        current.end()
