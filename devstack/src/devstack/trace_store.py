"""The last spans in memory, found by trace and by order."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

SPANS_MAX = 50_000
# Services may prefix the attribute; what follows the last dot says what it is.
ORDER_ATTRIBUTE = "order_id"
KINDS: Mapping[int, str] = {
    WireSpan.SPAN_KIND_INTERNAL: "internal",
    WireSpan.SPAN_KIND_SERVER: "server",
    WireSpan.SPAN_KIND_CLIENT: "client",
    WireSpan.SPAN_KIND_PRODUCER: "producer",
    WireSpan.SPAN_KIND_CONSUMER: "consumer",
}


class Span(msgspec.Struct):
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    kind: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, Any]
    links: list[dict[str, str]]

    def order_ids(self) -> Iterator[str]:
        for key, value in self.attributes.items():
            if key.rpartition(".")[2] == ORDER_ATTRIBUTE:
                yield str(value)


class Row(msgspec.Struct):
    """One span of a trace as a waterfall shows it."""

    span_id: str
    parent_id: str
    name: str
    service: str
    kind: str
    depth: int
    offset_ms: float
    duration_ms: float
    failed: bool
    attributes: dict[str, Any]
    links: list[dict[str, str]]


class Summary(msgspec.Struct):
    trace_id: str
    name: str
    started_at_ms: int
    duration_ms: float
    spans: int
    services: list[str]
    failed: bool


class TraceStore:
    """Keeps whole traces; when there are too many spans, the trace begun first goes first."""

    def __init__(self, spans_max: int = SPANS_MAX) -> None:
        self._spans_max = spans_max
        self._count = 0
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()
        self._orders: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, spans: Iterable[Span]) -> None:
        for span in spans:
            self._traces.setdefault(span.trace_id, []).append(span)
            for order_id in span.order_ids():
                self._orders[order_id].add(span.trace_id)
            self._count += 1
        while self._count > self._spans_max:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        trace_id, spans = self._traces.popitem(last=False)
        self._count -= len(spans)
        for order_id in {order_id for span in spans for order_id in span.order_ids()}:
            self._orders[order_id].discard(trace_id)
            if not self._orders[order_id]:
                del self._orders[order_id]

    def summaries(self, order_id: str | None, limit: int) -> list[Summary]:
        """The newest traces first; of one order when that is given."""
        known = self._traces if order_id is None else self._orders.get(order_id, set())
        found = [_summary(trace_id, self._traces[trace_id]) for trace_id in known]
        found.sort(key=lambda summary: summary.started_at_ms, reverse=True)
        return found[:limit]

    def waterfall(self, trace_id: str) -> list[Row]:
        """A trace in the order of its tree, parents before children; empty when unknown."""
        spans = self._traces.get(trace_id, [])
        if not spans:
            return []
        began = min(span.start_ns for span in spans)
        known = {span.span_id for span in spans}
        children: defaultdict[str, list[Span]] = defaultdict(list)
        for span in sorted(spans, key=lambda span: span.start_ns):
            # A parent that was not exported (yet) leaves its children as roots.
            children[span.parent_id if span.parent_id in known else ""].append(span)
        rows = []
        waiting = deque((span, 0) for span in children[""])
        while waiting:
            span, depth = waiting.popleft()
            rows.append(_row(span, depth, began))
            waiting.extendleft((child, depth + 1) for child in reversed(children[span.span_id]))
        return rows


def _summary(trace_id: str, spans: list[Span]) -> Summary:
    first = min(spans, key=lambda span: span.start_ns)
    last_end = max(span.end_ns for span in spans)
    return Summary(
        trace_id=trace_id,
        name=first.name,
        started_at_ms=first.start_ns // 1_000_000,
        duration_ms=(last_end - first.start_ns) / 1e6,
        spans=len(spans),
        services=sorted({span.service for span in spans}),
        failed=any(span.failed for span in spans),
    )


def _row(span: Span, depth: int, began_ns: int) -> Row:
    return Row(
        span_id=span.span_id,
        parent_id=span.parent_id,
        name=span.name,
        service=span.service,
        kind=span.kind,
        depth=depth,
        offset_ms=(span.start_ns - began_ns) / 1e6,
        duration_ms=(span.end_ns - span.start_ns) / 1e6,
        failed=span.failed,
        attributes=span.attributes,
        links=span.links,
    )


def decode(body: bytes) -> list[Span]:
    """The spans of one OTLP export; DecodeError (a ValueError of protobuf) when it is none."""
    request = ExportTraceServiceRequest.FromString(body)
    spans = []
    for resource_spans in request.resource_spans:
        service = str(_attributes(resource_spans.resource.attributes).get("service.name", "?"))
        for scope_spans in resource_spans.scope_spans:
            spans += [_decode_span(span, service) for span in scope_spans.spans]
    return spans


def _decode_span(span: WireSpan, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        service=service,
        kind=KINDS.get(span.kind, "unspecified"),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        links=[
            {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links
        ],
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind)
