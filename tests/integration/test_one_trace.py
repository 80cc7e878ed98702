"""One trace tells an order's whole story, from the tap to the delivered message."""

import pytest

from devstack.customer import PRODUCT_SCENE, Customer
from devstack.demo import trace_of
from devstack.stage import Stage

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]

# In this order: each has to begin after the one above it.
STORY = (
    ("gateway", "receive update"),
    ("gateway", "process gateway.updates.{shard}"),
    ("billing", "process billing.cmd.place_order.v1"),
    ("generator", "claim_job"),
    ("generator", "upload_inputs"),
    ("generator", "submit_prompt"),
    ("generator", "download_result"),
    ("generator", "store_result"),
    ("billing", "process generator.evt.job_succeeded.v1"),
    ("gateway", "process billing.evt.order_completed.v1"),
    ("gateway", "deliver result"),
    ("gateway", "telegram sendPhoto"),
    ("billing", "process gateway.evt.delivery_recorded.v1"),
)


async def test_one_trace_carries_an_order_from_the_tap_to_the_delivered_message(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    quote = await customer.order(coffee, PRODUCT_SCENE)
    await customer.result(quote)
    trace_id, spans = await trace_of(steady.session, steady.urls["traces"], quote.order_id)

    began = {(span["service"], span["name"]): span["offset_ms"] for span in reversed(spans)}
    told = [began.get(step) for step in STORY]
    known = {span["span_id"] for span in spans}
    roots = [span["name"] for span in spans if span["parent_id"] not in known]
    assert len(trace_id) == 32
    assert None not in told, {step for step in STORY if step not in began}
    assert told == sorted(told)
    assert roots == ["receive update"]
    assert not [span["name"] for span in spans if span["failed"]]
