"""What was committed before any replica ran is sent as soon as one holds the shard."""

import pytest

from chassis.clock import new_id
from gateway.adapters import claimed_rows
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.ports import Screen

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_row_that_waited_for_a_gateway_needs_no_sweep(
    platform, person, outbox, monkeypatch
):
    monkeypatch.setattr(claimed_rows, "SWEEP_SECONDS", 3_600)
    async with outbox.begin() as uow:
        deliveries = PostgresDeliveries(new_id, lambda _shard: None)
        await deliveries.queue(uow, user_id=person, screen=Screen(text="you waited"))

    await platform.start()

    await platform.people.wait_message(person, lambda each: each["text"] == "you waited")
