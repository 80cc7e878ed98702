"""What the intake writes on an update: the moment by which its word is told from the next."""

import asyncio

import msgspec
import pytest

from chassis import parked
from chassis.testing import FakeClock
from contracts.generator import shard_of
from contracts.topology import shard_consumer
from gateway.adapters.intake import Intake

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERSON = 4_200


def update(number: int) -> bytes:
    sender = {"id": PERSON, "is_bot": False, "first_name": "A"}
    chat = {"id": PERSON, "type": "private"}
    message = {"message_id": number, "date": 1_790_000_000, "from": sender, "chat": chat}
    return msgspec.json.encode({"update_id": number, "message": {**message, "text": "hello"}})


async def test_no_two_updates_of_a_batch_came_at_the_same_moment(platform):
    """Else of two choices polled together the older one, handed back, would pass for the newer."""
    clock = FakeClock()
    intake = Intake(platform.broker, clock, bot_id=42, pre_checkout=lambda _asked: None)

    assert await intake.store([update(1), update(2)], way="poll") == 2
    assert await intake.store([update(3)], way="poll") == 1

    pull = platform.broker.consume("UPDATES", shard_consumer(shard_of(PERSON)))
    moments = []
    async with asyncio.timeout(10):
        while len(moments) < 3:
            for delivery in await pull.next(3):
                moments.append(parked.made_at(delivery.headers))
                await delivery.ack()
    await pull.stop()
    assert moments[0] == clock.now()
    assert [round(each.timestamp() * 1000) for each in moments] == [
        round(clock.now().timestamp() * 1000) + late for late in range(3)
    ]
