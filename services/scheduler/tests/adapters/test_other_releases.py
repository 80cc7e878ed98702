"""Replicas of other releases or with other settings: what one does not know it takes from none."""

from datetime import timedelta
from functools import partial

import pytest

from chassis.background import Background
from chassis.outbox import Outbox
from chassis.testing import drain
from contracts.scheduler import Repeat
from scheduler.domain.settling import HELD_FOR
from scheduler.testing import arm, execute, fire_all, fired, firing, row, timer

AUDIT = "billing.cmd.run_audit.v1"
KIND = "vpn.reminder"
LIMITED = {KIND: {"per_second": 50}}
DAILY = Repeat(unit="day", at="09:00")
UNKNOWN = {
    "unit": """jsonb_set(rule, '{repeat,unit}', '"hour"')""",
    "every": "jsonb_set(rule, '{repeat,every}', '0')",
    "shape": """jsonb_set(rule, '{repeat}', '["hour", 3]')""",
    "clock": """jsonb_set(rule, '{repeat,at}', '"noon"')""",
    "anchor": "rule - 'anchor' - 'day'",
}


async def seconds_to_audit(outbox: Outbox) -> float | None:
    async with outbox.database.read() as connection:
        left: float | None = await connection.fetchval(
            "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 FROM ticks "
            "WHERE name = 'run_audit'"
        )
    return left


async def test_a_replica_without_a_limit_leaves_it_to_the_others(outbox: Outbox) -> None:
    lives_on = firing(outbox, kinds=LIMITED)
    await lives_on.turn()
    await firing(outbox).turn()
    await arm(outbox, timer(key="limited", kind=KIND, due_in=-5), timer(key="other", due_in=-5))

    await fire_all(lives_on)

    assert await fired(outbox) == ["limited:1", "other:1"]


async def test_a_replica_that_does_not_know_a_tick_leaves_it_to_the_others(outbox: Outbox) -> None:
    await firing(outbox).turn()
    before = await seconds_to_audit(outbox)

    await firing(outbox, run_audit_every=0).turn()

    assert before is not None
    assert await seconds_to_audit(outbox) == pytest.approx(before, abs=5)


async def test_what_the_release_before_deletes_at_its_start_is_set_again(outbox: Outbox) -> None:
    lives_on = firing(outbox, kinds=LIMITED, run_audit_every=0.2)
    await lives_on.turn()
    await execute(outbox, "DELETE FROM kind_limits")
    await execute(outbox, "DELETE FROM ticks")
    await arm(outbox, timer(key="limited", kind=KIND, due_in=-5))
    background = Background()

    background.spawn(lives_on.run(), name="firing")
    await drain(partial(fired, outbox), what="the limited timer fired")
    await drain(partial(audited, outbox), what="the tick fired")

    await lives_on.stop()
    await background.stop(timedelta(seconds=5))


async def audited(outbox: Outbox) -> bool:
    async with outbox.database.read() as connection:
        return bool(await connection.fetchval("SELECT 1 FROM outbox WHERE subject = $1", AUDIT))


async def test_a_tick_comes_as_often_as_the_replica_that_lives_has_it(outbox: Outbox) -> None:
    often, seldom = firing(outbox, run_audit_every=60), firing(outbox, run_audit_every=86_400)
    await often.turn()
    await execute(outbox, "UPDATE ticks SET due_at = now() WHERE name = 'run_audit'")
    await seldom.turn()
    put_off = await seconds_to_audit(outbox)

    await often.turn()

    assert put_off == pytest.approx(86_400, abs=60)
    assert await seconds_to_audit(outbox) == pytest.approx(60, abs=10)


@pytest.mark.parametrize("what", UNKNOWN)
async def test_a_rule_of_another_release_holds_that_timer_alone(outbox: Outbox, what: str) -> None:
    daily = {"due_in": -5 * 86_400, "time_zone": "UTC", "repeat": DAILY}
    await arm(outbox, timer(key="odd", **daily), timer(key="good", **daily), timer(key="plain"))
    await execute(outbox, f"UPDATE timers SET rule = {UNKNOWN[what]} WHERE key = 'odd'")
    stored = await row(outbox, "odd")

    await fire_all(firing(outbox))

    assert await fired(outbox) == ["good:1", "plain:1"]
    odd = await row(outbox, "odd")
    assert (odd["state"], odd["rule"]) == ("armed", stored["rule"])
    assert HELD_FOR * 0.5 < odd["due_at"] - odd["changed_at"] <= HELD_FOR

    await execute(outbox, "UPDATE timers SET rule = NULL, due_at = now() WHERE key = 'odd'")
    await fire_all(firing(outbox))  # a release that knows it
    assert "odd:1" in await fired(outbox)


async def test_a_timer_that_skips_and_may_not_be_late_fires_all_the_same(outbox: Outbox) -> None:
    await arm(outbox, timer(key="late", due_in=-60, catch_up="skip", late_max_seconds=0))
    replica, background = firing(outbox), Background()

    background.spawn(replica.run(), name="firing")
    await drain(partial(is_skipped, outbox, "late"), what="skipped")
    # Looked for all the time from before it is due: within moments, which are forgiven.
    await arm(outbox, timer(key="skips", due_in=1, catch_up="skip", late_max_seconds=0))
    await drain(partial(fired, outbox), what="fired")

    await replica.stop()
    await background.stop(timedelta(seconds=5))
    assert await fired(outbox) == ["skips:1"]


async def is_skipped(outbox: Outbox, key: str) -> bool:
    return bool((await row(outbox, key))["state"] == "skipped")
