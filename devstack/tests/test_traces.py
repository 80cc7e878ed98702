import asyncio
import sys

import aiohttp
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from devstack.health import answers_ok
from devstack.ports import free_port
from devstack.processes import ChildProcess
from devstack.trace_store import Span, TraceStore


@pytest.fixture
async def collector():
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    child = ChildProcess("traces", [sys.executable, "-m", "devstack.traces", "--port", str(port)])
    child.start()
    await child.wait_ready(lambda: answers_ok(f"{url}/healthz"))
    yield url
    await child.terminate()
    assert child.returncode == 0


async def get(url: str) -> dict:
    async with aiohttp.request("GET", url) as answer:
        assert answer.status == 200
        return await answer.json()


def send_order_trace(url: str) -> str:
    """Two services in one trace, through the exporter that the services use."""
    providers = {}
    for service in ("gateway", "billing"):
        providers[service] = TracerProvider(resource=Resource({"service.name": service}))
        exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")
        providers[service].add_span_processor(SimpleSpanProcessor(exporter))
    tap = providers["gateway"].get_tracer("t").start_span("tap", kind=SpanKind.SERVER)
    below = set_span_in_context(tap)
    place = (
        providers["billing"]
        .get_tracer("t")
        .start_span(
            "place_order", context=below, attributes={"order_id": "order-7", "amounts": [1, 2]}
        )
    )
    place.set_status(Status(StatusCode.ERROR))
    place.end()
    tap.end()
    for provider in providers.values():
        provider.shutdown()
    return f"{tap.get_span_context().trace_id:032x}"


async def test_an_order_is_found_with_spans_of_several_services(collector):
    trace_id = await asyncio.to_thread(send_order_trace, collector)

    found = (await get(f"{collector}/api/traces?order_id=order-7"))["traces"]
    other = (await get(f"{collector}/api/traces?order_id=order-8"))["traces"]
    spans = (await get(f"{collector}/api/traces/{trace_id}"))["spans"]

    assert [trace["trace_id"] for trace in found] == [trace_id]
    assert found[0]["services"] == ["billing", "gateway"]
    assert found[0]["failed"] is True
    assert other == []
    assert [(span["name"], span["depth"], span["service"]) for span in spans] == [
        ("tap", 0, "gateway"),
        ("place_order", 1, "billing"),
    ]
    assert spans[0]["kind"] == "server"
    assert spans[1]["attributes"] == {"order_id": "order-7", "amounts": [1, 2]}
    assert spans[1]["offset_ms"] >= 0


async def test_rubbish_is_refused_and_the_collector_goes_on(collector):
    protobuf = {"content-type": "application/x-protobuf"}
    url = f"{collector}/v1/traces"
    async with aiohttp.request("POST", url, data=b"\xff\xff\xff", headers=protobuf) as answer:
        assert answer.status == 400
    async with aiohttp.request("POST", url, json={}) as answer:
        assert answer.status == 415
    async with aiohttp.request("GET", f"{collector}/api/traces/{'0' * 32}") as answer:
        assert answer.status == 404
    async with aiohttp.request("GET", f"{collector}/") as answer:
        assert answer.content_type == "text/html"

    assert await answers_ok(f"{collector}/healthz")


def span(trace: int, number: int, *, parent: str = "", order: str = "") -> Span:
    return Span(
        trace_id=f"{trace:032x}",
        span_id=f"{number:016x}",
        parent_id=parent,
        name=f"span {number}",
        service="billing",
        kind="internal",
        start_ns=number,
        end_ns=number + 1,
        failed=False,
        attributes={"vitrine.order_id": order} if order else {},
        links=[],
    )


def test_the_oldest_traces_go_when_there_are_too_many_spans():
    store = TraceStore(spans_max=3)

    store.add(span(trace, number, order=f"o{trace}") for trace in (1, 2) for number in (1, 2))

    assert store.waterfall(f"{1:032x}") == []
    assert store.summaries("o1", limit=10) == []
    assert len(store.waterfall(f"{2:032x}")) == 2
    assert [found.spans for found in store.summaries("o2", limit=10)] == [2]


def test_a_span_whose_parent_never_came_is_shown_as_a_root():
    store = TraceStore()

    store.add([span(1, 2, parent="f" * 16), span(1, 3, parent=f"{2:016x}")])

    rows = store.waterfall(f"{1:032x}")
    assert [(row.name, row.depth) for row in rows] == [("span 2", 0), ("span 3", 1)]
