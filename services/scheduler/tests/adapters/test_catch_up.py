"""Ten days of downtime: what fires late, what is skipped, what gives way to a newer one."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from chassis.outbox import Outbox
from contracts.scheduler import Repeat, ScheduleTimer
from scheduler.adapters.postgres import PostgresTimers
from scheduler.adapters.postgres_ticks import PostgresTicks
from scheduler.jobs import Firing
from scheduler.main import pace_of
from scheduler.settings import Settings
from scheduler.testing import arm, execute, fire_all, fired, firing, row, timer

DOWN = "10 days"
DAILY = Repeat(unit="day", at="09:00")
AUDIT = "billing.cmd.run_audit.v1"
RECONCILE = "vpn.cmd.reconcile_nodes.v1"


async def down(outbox: Outbox, span: str = DOWN) -> None:
    """Nothing ran for so long: whatever is armed was due earlier than it is."""
    await execute(
        outbox,
        "UPDATE timers SET due_at = due_at - $1::text::interval WHERE state = 'armed'",
        span,
    )


def newest(number: int, group: str = "g", **more: object) -> ScheduleTimer:
    return timer(
        key=f"{group}{number}", due_in=number - 10, catch_up="coalesce", group=group, **more
    )


def weekly(number: int, ago: timedelta) -> list[ScheduleTimer]:
    """Of one group, the first so long ago, each a day after the one before."""
    first = datetime.now(UTC) - ago
    return [
        timer(
            key=f"k{each}",
            due_at=first + timedelta(days=each),
            time_zone="UTC",
            repeat=Repeat(unit="week", at="00:00"),
            catch_up="coalesce",
            group="g",
        )
        for each in range(number)
    ]


async def states(outbox: Outbox) -> dict[str, str]:
    async with outbox.database.read() as connection:
        rows = await connection.fetch("SELECT key, state FROM timers")
    return {each["key"]: each["state"] for each in rows}


async def test_each_policy_after_ten_days(outbox: Outbox) -> None:
    await arm(
        outbox,
        timer(key="fire", due_in=5),
        timer(key="skip", due_in=5, catch_up="skip", late_max_seconds=3_600),
        timer(key="skip-longer", due_in=5, catch_up="skip", late_max_seconds=11 * 86_400),
        *(newest(number) for number in range(3)),
        *(newest(number, "h") for number in range(2)),
    )
    await down(outbox)

    await fire_all(firing(outbox))

    assert await fired(outbox) == ["fire:1", "g2:1", "h1:1", "skip-longer:1"]
    assert await states(outbox) == {
        **dict.fromkeys(("fire", "skip-longer", "g2", "h1"), "fired"),
        **dict.fromkeys(("g0", "g1", "h0"), "coalesced"),
        "skip": "skipped",
    }


async def test_a_skipped_or_coalesced_timer_keeps_its_version(outbox: Outbox) -> None:
    await arm(outbox, timer(3, key="skip", catch_up="skip", due_in=-99), newest(0), newest(1))
    await fire_all(firing(outbox))

    assert await arm(outbox, timer(3, key="skip"), newest(0)) == 0
    assert await arm(outbox, timer(4, key="skip"), timer(2, key="g0")) == 2


async def test_many_replicas_and_small_batches_still_fire_only_the_newest(outbox: Outbox) -> None:
    commands = [
        newest(number, f"group{group}:", kind=f"kind{number % 3}")
        for group in range(4)
        for number in range(10)
    ]
    await arm(outbox, *commands)

    await asyncio.gather(*(fire_all(firing(outbox, fire_batch_max=3)) for _ in range(3)))

    assert await fired(outbox) == [f"group{group}:9:1" for group in range(4)]
    assert sorted((await states(outbox)).values()) == ["coalesced"] * 36 + ["fired"] * 4


async def test_an_older_one_that_comes_after_the_newer_has_fired_gives_way(outbox: Outbox) -> None:
    await arm(outbox, newest(5))
    await fire_all(firing(outbox))
    await arm(outbox, newest(2))

    await fire_all(firing(outbox))

    assert await fired(outbox) == ["g5:1"]
    assert await states(outbox) == {"g5": "fired", "g2": "coalesced"}


async def test_a_group_on_time_fires_every_one(outbox: Outbox) -> None:
    for number in range(3):
        await arm(outbox, timer(key=f"g{number}", catch_up="coalesce", group="g"))
        await fire_all(firing(outbox))

    assert await fired(outbox) == ["g0:1", "g1:1", "g2:1"]


@pytest.mark.parametrize(
    ("policy", "count"),
    [({}, 1), ({"catch_up": "skip", "late_max_seconds": 60}, 0)],
)
async def test_a_repeating_timer_comes_once_late_or_not_and_then_in_its_rhythm(
    outbox: Outbox, policy: dict[str, object], count: int
) -> None:
    begin = datetime.now(UTC) - timedelta(days=10, hours=1)
    daily = timer(due_at=begin, time_zone="Europe/Berlin", repeat=DAILY, **policy)
    await arm(outbox, daily)

    await fire_all(firing(outbox))

    kept = await row(outbox, "k")
    now = datetime.now(UTC)
    assert len(await fired(outbox)) == count
    assert (kept["state"], kept["version"]) == ("armed", 1)
    assert now < kept["due_at"] <= now + timedelta(hours=25)
    assert kept["rule"]["day"] > kept["rule"]["anchor"]


async def test_repeating_timers_of_a_group_give_way_together(outbox: Outbox) -> None:
    """The newest is armed again when it has fired: the older ones must not fire after it."""
    await arm(outbox, *weekly(5, timedelta(days=10)))

    await asyncio.gather(*(fire_all(firing(outbox, fire_batch_max=2)) for _ in range(2)))

    assert len(await fired(outbox)) == 1
    assert set((await states(outbox)).values()) == {"armed"}


class Overtaken(PostgresTimers):
    """Between its two looks at groups another replica takes its turn."""

    def __init__(self, other: Firing) -> None:
        self._other = other
        self.times = 1

    async def claim_superseded(self, connection, now, limit):
        found = await super().claim_superseded(connection, now, limit)
        if self.times:
            self.times -= 1
            await self._other.turn()
        return found


async def test_who_lets_an_older_one_go_does_not_fire_it_when_the_newest_has_gone(outbox: Outbox):
    """The newest is armed for another day then: no newer one is due any more."""
    await arm(outbox, *weekly(2, timedelta(days=16)))
    other = firing(outbox)
    store = Overtaken(other)
    slow = Firing(outbox, store, pace_of(Settings(database_url="unused")))

    await fire_all(slow)

    assert store.times == 0
    assert await fired(outbox) == ["k1:1"]


async def test_each_time_of_a_repeating_timer_is_a_message_of_its_own(outbox: Outbox) -> None:
    await arm(outbox, timer(due_in=-5 * 86_400, time_zone="UTC", repeat=DAILY))
    replica = firing(outbox)
    await fire_all(replica)
    await execute(
        outbox,
        "UPDATE timers SET due_at = due_at - interval '2 days', "
        """rule = rule || jsonb_build_object('day', (rule->>'day')::date - 2)""",
    )
    await fire_all(replica)

    async with outbox.database.read() as connection:
        ids = await connection.fetch("SELECT DISTINCT id FROM outbox")
    assert len(ids) == 2
    assert await fired(outbox) == ["k:1", "k:1"]


async def test_a_rule_that_changed_moves_the_timer_instead_of_firing_it(outbox: Outbox) -> None:
    """As if the zone's rules of today put nine o'clock later than those of when it was set."""
    now = datetime.now(UTC)
    await arm(outbox, timer(due_in=3_600, time_zone="UTC", repeat=Repeat(unit="day", at="00:00")))
    await execute(outbox, "UPDATE timers SET due_at = now() - interval '1 second'")

    await fire_all(firing(outbox))

    kept = await row(outbox, "k")
    assert await fired(outbox) == []
    assert kept["due_at"] > now
    assert kept["due_at"].hour == 0


async def ticking(outbox: Outbox, late: str, **settings: object) -> Firing:
    """A replica whose ticks were all due so long ago."""
    pace = pace_of(Settings(database_url="unused", **settings))
    async with outbox.database.read() as connection:
        periods = {name: terms.every for name, terms in pace.ticks.items()}
        await PostgresTicks().set_ticks(connection, periods)
        await connection.execute(
            "UPDATE ticks SET due_at = now() - $1::text::interval WHERE name = ANY($2)",
            late,
            ["run_audit", "converge_nodes", "reconcile_nodes", "send_reminders"],
        )
    return Firing(outbox, PostgresTimers(), pace)


async def test_ticks_after_ten_days_fire_once_and_keep_their_rhythm(outbox: Outbox) -> None:
    replicas = [
        await ticking(outbox, DOWN, tick_catch_up={"send_reminders": "skip"}),
        await ticking(outbox, DOWN, tick_catch_up={"send_reminders": "skip"}),
    ]

    await asyncio.gather(*(fire_all(replica) for replica in replicas))

    async with outbox.database.read() as connection:
        subjects = await connection.fetch("SELECT subject FROM outbox ORDER BY 1")
        overdue = await connection.fetchval("SELECT count(*) FROM ticks WHERE due_at < now()")
        rhythm = await connection.fetchval(
            "SELECT extract(epoch FROM due_at - now())::float8 FROM ticks WHERE name = 'run_audit'"
        )
    told = [each["subject"] for each in subjects]
    assert told == [AUDIT, RECONCILE, RECONCILE]
    assert overdue == 0
    assert 3_500 < rhythm <= 3_600


async def test_two_ticks_with_one_command_are_one_by_default(outbox: Outbox) -> None:
    replica = await ticking(outbox, "1 second")

    await fire_all(replica)

    assert len(await fired_commands(outbox, RECONCILE)) == 1


async def fired_commands(outbox: Outbox, subject: str) -> list[bytes]:
    async with outbox.database.read() as connection:
        return await connection.fetch("SELECT id FROM outbox WHERE subject = $1", subject)


async def test_a_tick_of_another_release_is_left_alone(outbox: Outbox) -> None:
    replica = await ticking(outbox, "1 second")
    await execute(outbox, "INSERT INTO ticks VALUES ('unheard_of', 5, now() - interval '1 day')")

    await fire_all(replica)

    async with outbox.database.read() as connection:
        assert await connection.fetchval(
            "SELECT due_at < now() FROM ticks WHERE name = 'unheard_of'"
        )


async def test_a_tick_whose_period_is_nothing_is_off(outbox: Outbox) -> None:
    replica = await ticking(outbox, "1 second", send_reminders_every=0, run_audit_every=0)

    await fire_all(replica)

    assert await fired_commands(outbox, AUDIT) == []
