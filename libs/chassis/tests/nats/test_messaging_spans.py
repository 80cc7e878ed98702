from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from chassis import messaging_spans, rpc, tracing
from chassis.broker import Broker, OutgoingMessage
from chassis.messaging_spans import template_of
from contracts.billing import Balance, GetBalance
from contracts.generator import progress_subject

COMMAND = "billing.cmd.place_order.v1"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_TRACER", provider.get_tracer("test"))
    monkeypatch.setattr(messaging_spans, "_tracer", provider.get_tracer("test"))
    monkeypatch.setattr(messaging_spans, "_has_provider", lambda: True)
    yield exporter
    provider.shutdown()


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process without a collector, whatever other tests of this one have configured."""
    tracer = trace.NoOpTracerProvider().get_tracer("test")
    monkeypatch.setattr(tracing, "_TRACER", tracer)
    monkeypatch.setattr(messaging_spans, "_tracer", tracer)
    monkeypatch.setattr(messaging_spans, "_has_provider", lambda: False)


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


@pytest.mark.parametrize(
    ("subject", "template"),
    [
        (COMMAND, COMMAND),
        ("jobs.image.priority", "jobs.{pool}.{lane}"),
        ("gateway.updates.17", "gateway.updates.{shard}"),
        (progress_subject(7, UUID(int=7)), "progress.{shard}.{order_id}"),
        ("$KV.jobs.0198", "$KV.jobs.{key}"),
        ("$O.media.C.xyz", "$O.media.{object}"),
    ],
)
def test_ids_stay_out_of_templates(subject: str, template: str) -> None:
    assert template_of(subject) == template


async def test_a_publish_starts_the_trace_its_message_carries(
    broker: Broker, make_streams, spans: InMemorySpanExporter
) -> None:
    await make_streams("BILLING", "JOBS")
    await broker.publish("jobs.image.regular", b"x", {"Nats-Msg-Id": "1"})

    (span,) = named(spans, "publish jobs.{pool}.{lane}")
    pull = broker.consume("JOBS", "image-regular", group="jobs", priority=0)
    (delivery,) = await pull.next()
    await pull.stop()

    assert span.kind is SpanKind.PRODUCER
    assert delivery.headers["traceparent"] == tracing.inject(trace.NonRecordingSpan(span.context))
    assert span.attributes is not None
    assert span.attributes["messaging.message.id"] == "1"


async def test_a_given_traceparent_is_kept_and_linked_to(
    broker: Broker, make_streams, spans: InMemorySpanExporter
) -> None:
    await make_streams("BILLING", "JOBS")
    given = f"00-{'a' * 32}-{'b' * 16}-01"
    headers = {"traceparent": given}
    await broker.publish(COMMAND, b"x", headers)

    (span,) = named(spans, f"publish {COMMAND}")
    pull = broker.consume("BILLING", "billing")
    (delivery,) = await pull.next()
    await pull.stop()

    assert span.kind is SpanKind.CLIENT
    assert [f"{link.context.trace_id:032x}" for link in span.links] == ["a" * 32]
    assert delivery.headers["traceparent"] == given
    assert headers == {"traceparent": given}


async def test_a_batch_is_one_span_with_a_link_per_message(
    broker: Broker, make_streams, spans: InMemorySpanExporter
) -> None:
    await make_streams("BILLING", "JOBS")
    await broker.publish_all(
        [
            OutgoingMessage(
                COMMAND,
                b"",
                {"Nats-Msg-Id": uuid4().hex, "traceparent": f"00-{n:032x}-{n:016x}-01"},
            )
            for n in range(1, 201)
        ]
    )

    (span,) = named(spans, f"publish {COMMAND}")
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 200
    assert len(span.links) == 128
    assert span.links[0].context.trace_id == 1


async def test_question_and_answer_are_one_trace(
    broker: Broker, make_streams, spans: InMemorySpanExporter
) -> None:
    async def balance(request: GetBalance) -> Balance:
        return Balance(user_id=request.user_id)

    answering = await rpc.answer(broker, GetBalance, balance)
    await rpc.request(broker, GetBalance(user_id=7), Balance)
    await answering.stop()

    (asked,) = named(spans, "request billing.rpc.balance")
    (answered,) = named(spans, "answer billing.rpc.balance")
    assert (asked.kind, answered.kind) == (SpanKind.CLIENT, SpanKind.SERVER)
    assert asked.context is not None
    assert answered.parent is not None
    assert answered.parent.span_id == asked.context.span_id


@pytest.mark.usefixtures("untraced")
async def test_without_tracing_nothing_is_added(broker: Broker, make_streams) -> None:
    await make_streams("BILLING", "JOBS")
    await broker.publish(COMMAND, b"x", timeout=timedelta(seconds=2))

    pull = broker.consume("BILLING", "billing")
    (delivery,) = await pull.next()
    await pull.stop()

    assert "traceparent" not in delivery.headers
