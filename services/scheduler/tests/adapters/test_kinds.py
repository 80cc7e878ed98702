"""Kinds take turns: a flood of one delays no other, and a limited one keeps its limit."""

import asyncio
from datetime import timedelta
from functools import partial
from itertools import count

from chassis.outbox import Outbox
from chassis.testing import drain
from scheduler.adapters.postgres_ticks import PostgresTicks
from scheduler.jobs import Firing
from scheduler.testing import arm, execute, fire_all, fired, firing, timer

LIMITED = "reminder"


async def flood(outbox: Outbox, kind: str, count: int) -> None:
    """Timers that were all due an hour ago."""
    commands = [timer(key=f"{kind}:{n:04}", kind=kind, due_in=-3_600) for n in range(count)]
    await arm(outbox, *commands)


async def limited(outbox: Outbox, per_second: float) -> Firing:
    replica = firing(outbox, kinds={LIMITED: {"per_second": per_second}})
    async with outbox.database.read() as connection:
        await PostgresTicks().set_limits(connection, [LIMITED])
    return replica


async def at_least(outbox: Outbox, kind: str, count: int) -> bool:
    return sum(each.startswith(kind) for each in await fired(outbox)) >= count


async def test_a_timer_of_another_kind_does_not_wait_for_a_flood(outbox: Outbox) -> None:
    await flood(outbox, "flood", 400)
    await arm(outbox, timer(key="end", kind="vpn.end"), timer(key="hold", kind="billing.hold"))

    await firing(outbox, fire_batch_max=30).turn()

    told = await fired(outbox)
    assert {"end:1", "hold:1"} <= set(told)
    assert len(told) == 12


async def test_a_flood_alone_gets_the_whole_batch(outbox: Outbox) -> None:
    await flood(outbox, "flood", 100)

    await firing(outbox, fire_batch_max=60).turn()

    assert len(await fired(outbox)) == 60


async def test_more_kinds_than_places_all_get_one(outbox: Outbox) -> None:
    for kind in "abcde":
        await flood(outbox, kind, 3)

    await firing(outbox, fire_batch_max=2).turn()

    assert await fired(outbox) == [f"{kind}:0000:1" for kind in "abcde"]


async def test_a_limited_kind_fires_no_faster_whatever_the_replicas(outbox: Outbox) -> None:
    await flood(outbox, LIMITED, 500)
    await flood(outbox, "other", 100)
    replicas = [await limited(outbox, 100) for _ in range(3)]
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for replica in replicas:
            group.create_task(replica.run())
        await drain(partial(at_least, outbox, LIMITED, 60), what="60 of the limited kind")
        for replica in replicas:
            await replica.stop()
    took = asyncio.get_running_loop().time() - began

    told = [each for each in await fired(outbox) if each.startswith(LIMITED)]
    assert len(await fired(outbox)) - len(told) == 100
    # As many as it may in that time with the burst it had saved, and no more.
    assert 60 <= len(told) <= 100 * took + 11
    assert told == [f"{LIMITED}:{n:04}:1" for n in range(len(told))]


async def test_a_kind_that_has_used_its_limit_up_does_not_keep_the_loop_busy(
    outbox: Outbox,
) -> None:
    await flood(outbox, LIMITED, 5)
    replica = await limited(outbox, 0.01)  # the next one not before both turns are over

    waits = [await replica.turn() for _ in range(2)]

    assert len(await fired(outbox)) == 1
    assert waits == [0.04, 0.04]


async def test_a_limit_that_is_gone_from_the_settings_is_gone(outbox: Outbox) -> None:
    await limited(outbox, 1)
    await flood(outbox, LIMITED, 50)
    unlimited = firing(outbox)

    await fire_all(unlimited)

    assert len(await fired(outbox)) == 50


async def test_what_is_due_soon_is_gathered_and_what_is_due_later_waited_for(
    outbox: Outbox,
) -> None:
    replica = firing(outbox, gather=timedelta(seconds=0.2))
    idle = await replica.turn()
    for version in count(1):
        await arm(outbox, timer(version, key="soon", due_in=0.5))
        soon = await replica.turn()
        if not await fired(outbox):  # else it was due before it was looked at
            break
    await execute(outbox, "UPDATE timers SET due_at = now()")
    gathered = await replica.turn()

    assert idle == 1.0
    assert 0 < soon <= 0.5
    assert gathered == 0.2


async def test_what_is_skipped_does_not_use_the_limit_up(outbox: Outbox) -> None:
    """After a downtime what is still wanted must not wait behind what is not."""
    stale = [
        timer(key=f"stale{number}", kind=LIMITED, due_in=-3_600, catch_up="skip")
        for number in range(100)
    ]
    wanted = timer(key="wanted", kind=LIMITED, catch_up="skip", late_max_seconds=600)
    await arm(outbox, *stale, wanted, timer(key="next", kind=LIMITED))

    await (await limited(outbox, 1)).turn()

    assert await fired(outbox) == ["wanted:1"]
    async with outbox.database.read() as connection:
        states = await connection.fetch("SELECT state, count(*) FROM timers GROUP BY 1 ORDER BY 1")
    assert [tuple(each) for each in states] == [("armed", 1), ("fired", 1), ("skipped", 100)]


async def test_a_limit_another_replica_holds_does_not_keep_the_loop_busy(outbox: Outbox) -> None:
    await flood(outbox, LIMITED, 5)
    replica = await limited(outbox, 1)
    async with outbox.database.read() as connection, connection.transaction():
        await PostgresTicks().claim_limits(connection, [LIMITED])

        wait = await replica.turn()

    assert wait == 0.04
    assert await fired(outbox) == []
