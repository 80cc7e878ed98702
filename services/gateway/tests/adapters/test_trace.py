"""One trace leads from the update to the message that was delivered for it."""

import msgspec
import pytest
from opentelemetry import trace

from chassis import tracing
from chassis.testing import drain
from contracts.billing import OpenAccount

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def exporter():
    """Spans of this process, kept; a provider can be set once per process."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


async def test_a_trace_goes_from_the_update_to_the_command_and_the_answer(
    platform, person, exporter, gateway
):
    await platform.people.say(person, "/start")
    await platform.people.wait_message(person)

    query = "SELECT headers FROM outbox WHERE subject = $1 ORDER BY id DESC LIMIT 1"
    headers = await platform.value(query, OpenAccount.subject)
    wanted = tracing.trace_id(msgspec.json.decode(headers)["traceparent"])
    await drain(lambda: "telegram sendMessage" in names(exporter, wanted), what="the send's span")
    assert {"receive update", "process gateway.updates.{shard}"} <= names(exporter, wanted)


async def test_a_delivery_carries_on_the_trace_of_what_caused_it(
    platform, person, exporter, gateway
):
    await platform.people.fault("500", method="sendMessage", chat_id=person, times=1)
    await platform.people.say(person, "/help")
    await platform.people.wait_message(person)

    traceparent = await platform.value(
        "SELECT traceparent FROM deliveries WHERE user_id = $1", person
    )
    wanted = tracing.trace_id(traceparent)
    await drain(lambda: "deliver send" in names(exporter, wanted), what="the delivery's span")
    assert {"receive update", "telegram sendMessage"} <= names(exporter, wanted)


async def test_no_span_holds_the_token(platform, person, exporter, gateway):
    await platform.people.say(person, "/help")
    await platform.people.wait_message(person)

    secret = platform.telegram.token.split(":")[1]
    assert not [span for span in exporter.get_finished_spans() if secret in span.to_json()]


def names(exporter, trace_id: str) -> set[str]:
    spans = exporter.get_finished_spans()
    return {span.name for span in spans if f"{span.context.trace_id:032x}" == trace_id}
