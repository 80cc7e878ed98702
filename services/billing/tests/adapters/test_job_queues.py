from datetime import timedelta

import pytest

from billing.adapters.job_queues import JobQueues
from billing.handlers.record_job_started import record_jobs_started
from billing.testing import order_of
from chassis import bootstrap
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.errors import TransientError
from contracts import generator


@pytest.fixture
async def broker(nats_url):
    connected = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
    await bootstrap.apply(connected)
    yield connected
    await connected.close()


def queues_of(broker, database, clock, **limits):
    values = {"queue_max": 5, "outbox_age_max": timedelta(seconds=60), **limits}
    return JobQueues(broker, database, clock, **values)


async def test_room_is_what_both_lanes_leave(broker, database):
    queues = queues_of(broker, database, SystemClock())
    for lane in ("priority", "regular", "regular"):
        await broker.publish(generator.job_subject("image", lane), b"job")

    await queues.sample()
    queues.taken("video", 2)

    assert queues.rooms() == {"image": 2, "video": 3, "hosted": 5}


async def test_a_queue_over_its_limit_has_no_room(broker, database):
    queues = queues_of(broker, database, SystemClock(), queue_max=1)
    for _ in range(3):
        await broker.publish(generator.job_subject("image", "regular"), b"job")

    await queues.sample()

    assert queues.rooms()["image"] == 0


async def test_nothing_is_known_before_the_first_sample(broker, database):
    queues = queues_of(broker, database, SystemClock())

    with pytest.raises(TransientError):
        queues.rooms()
    assert not queues.sampled


async def test_a_job_stuck_in_the_outbox_closes_every_queue(broker, desk_of_today):
    # Nobody publishes here: a job decided two minutes ago has not left the outbox.
    desk = desk_of_today
    await desk.open(1)
    await desk.place(order_of(1, desk.now))
    queues = queues_of(broker, desk.database, desk.clock)
    await queues.sample()
    fresh = queues.rooms()["image"]
    desk.clock.advance(timedelta(seconds=61))

    await queues.sample()

    assert fresh == 5
    assert set(queues.rooms().values()) == {0}
    assert queues.hold_age_seconds() == 61


async def test_the_oldest_order_nobody_started_is_told(broker, desk_of_today):
    desk = desk_of_today
    await desk.open(1)
    queues = queues_of(broker, desk.database, desk.clock)
    await queues.sample()
    nothing = queues.waiting_seconds()
    first = await desk.placed(1)
    desk.clock.advance(timedelta(seconds=30))
    await desk.placed(1)
    desk.clock.advance(timedelta(seconds=20))
    await queues.sample()
    both = queues.waiting_seconds()
    started = generator.JobStarted(
        order_id=first.order_id, user_id=1, epoch=1, server="gpu-1", started_at=desk.now
    )
    await desk.batch(record_jobs_started, started, books=desk.books, pace=desk.pace)

    await queues.sample()

    assert (nothing, both) == (0, 50)
    assert queues.waiting_seconds() == 20, "the first one is at work"
    assert queues.hold_age_seconds() == 50
