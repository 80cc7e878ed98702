"""Orders of different plans that change places on their way leave what the newest chose."""

import itertools
from datetime import timedelta

import pytest

from chassis.clock import id_floor, new_id
from contracts.access import RenewAccess
from contracts.vpn import AccessChanged, AccessGranted, GrantAccess, RevokeAccess
from vpn.domain.plans import GIB
from vpn.handlers import grant_access
from vpn.testing import received

DAY = timedelta(days=1)


@pytest.fixture
def bought(counter):
    """A purchase of a plan, chosen so many seconds ago."""

    def make(plan, seconds_ago, **fields):
        values = {"order_id": new_id(), "user_id": 7, "plan": plan, "days": 30, **fields}
        moment = counter.now - timedelta(seconds=seconds_ago)
        return GrantAccess(chosen_at=moment, **values)

    return make


async def ends(counter):
    return (await counter.row()).until - counter.now


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_plan_chosen_last_stays_and_all_days_count(counter, bought, order, batched):
    # Chosen one after the other: with traffic, without, with.
    made = [bought("vpn_30", 30), bought("vpn_eu", 20), bought("vpn_30", 10)]
    come = [made[index] for index in order]

    if batched:
        await counter.handle(*come)
    else:
        for each in come:
            await counter.handle(each)

    row = await counter.row()
    assert (row.plan, row.set_id, row.devices, row.state) == ("vpn_30", "all", 2, "active")
    # A plan without a limit in between would have ended what was left; nothing is taken for that.
    assert row.limit_bytes in (100 * GIB, 200 * GIB)
    assert await ends(counter) == 90 * DAY
    assert (await counter.desired()).set_id == "all"

    # Whatever is taken back leaves the plan chosen last of those that stay.
    await counter.handle(RevokeAccess(order_id=made[2].order_id, user_id=7))
    row = await counter.row()
    assert (row.plan, row.set_id, row.devices, row.limit_bytes) == ("vpn_eu", "eu", 0, None)
    await counter.handle(RevokeAccess(order_id=made[1].order_id, user_id=7))
    row = await counter.row()
    assert (row.plan, row.set_id, row.devices, row.limit_bytes) == ("vpn_30", "all", 2, 100 * GIB)
    assert timedelta() <= await ends(counter) - 30 * DAY <= timedelta(seconds=2)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_an_order_taken_back_in_between_leaves_nothing_of_itself(counter, bought, order):
    made = [bought("vpn_eu", 30), bought("vpn_30", 20), bought("vpn_30", 10)]
    for index in order:
        await counter.handle(made[index])
    assert (await counter.row()).limit_bytes == 200 * GIB

    await counter.handle(RevokeAccess(order_id=made[1].order_id, user_id=7))
    assert (await counter.row()).limit_bytes == 100 * GIB
    await counter.handle(RevokeAccess(order_id=made[2].order_id, user_id=7))

    row = await counter.row()
    assert (row.plan, row.set_id, row.limit_bytes) == ("vpn_eu", "eu", None)


async def test_traffic_of_both_counts_in_either_order(counter, bought):
    for user_id, order in ((7, (0, 1)), (8, (1, 0))):
        made = [bought("vpn_30", ago, user_id=user_id) for ago in (20, 10)]
        for index in order:
            await counter.handle(made[index])
    first, second = await counter.row(7), await counter.row(8)

    assert first.limit_bytes == second.limit_bytes == 200 * GIB
    assert first.until == second.until


async def test_an_order_that_comes_late_finds_a_plan_that_was_taken_back(counter, bought):
    newer = bought("vpn_eu", 10)
    await counter.handle(bought("vpn_30", 60))
    await counter.handle(newer)
    await counter.handle(RevokeAccess(order_id=newer.order_id, user_id=7))

    await counter.handle(bought("vpn_eu", 30))

    assert (await counter.row()).plan == "vpn_eu"


async def test_nobody_runs_on_a_plan_that_is_over_or_a_trial(counter, bought):
    await counter.handle(bought("vpn_trial", 10, days=3, trial=True))

    await counter.handle(bought("vpn_30", 20))

    row = await counter.row()
    assert (row.plan, row.trial) == ("vpn_30", False)
    await counter.later(days=40)
    await counter.check()
    await counter.handle(bought("vpn_eu", 50 * 86_400))
    row = await counter.row()
    assert (row.plan, row.state) == ("vpn_eu", "active")
    assert await ends(counter) == 30 * DAY


async def test_who_used_up_their_traffic_has_the_days_of_a_late_plan_that_counts_none(
    counter, bought
):
    await counter.handle(bought("vpn_30", 10))
    await counter.execute(
        "UPDATE subscriptions SET used_bytes = limit_bytes, state = 'suspended', "
        "delete_at = until + interval '30 days'"
    )

    await counter.handle(bought("vpn_eu", 20))

    assert (await counter.row()).state == "suspended"
    assert await ends(counter) == 60 * DAY
    await counter.handle(bought("vpn_30", 30))
    assert (await counter.row()).state == "active"


async def test_what_is_renewed_is_the_plan_chosen_last(counter, bought, find):
    await counter.handle(bought("vpn_30", 10))
    events = await counter.handle(bought("vpn_eu", 20))

    # The person is told what their order was; the subscription is what it is.
    assert find(AccessGranted, events).plan == "vpn_eu"
    assert find(AccessChanged, events).plan == "vpn_30"
    await counter.execute("UPDATE subscriptions SET auto_renew = true")
    await counter.later(days=59, seconds=1)
    assert find(RenewAccess, await counter.check()).plan_id == "vpn_30"


async def test_what_older_releases_send_and_gave_is_judged_by_its_message(counter, bought):
    """No moment in the command: its id's. No moment in the row: older than anything."""
    newer = GrantAccess(order_id=new_id(), user_id=7, plan="vpn_30", days=30)
    await counter.handle(newer, said=id_floor(counter.now - 10 * DAY / 86_400))
    await counter.handle(bought("vpn_eu", 20))
    assert (await counter.row()).plan == "vpn_30"

    await counter.execute("UPDATE grants SET chosen_at = NULL")
    await counter.handle(bought("vpn_eu", 15))
    assert (await counter.row()).plan == "vpn_eu"


def test_a_clock_ahead_of_ours_counts_as_now(counter, bought):
    ahead = received(bought("vpn_30", -3_600))

    assert grant_access._chosen_at(ahead, counter.now) == counter.now
