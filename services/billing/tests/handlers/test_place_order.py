from datetime import timedelta

import pytest

from billing.handlers.set_tier import set_tiers
from billing.testing import ENHANCE, ORBIT, PRODUCT_SCENE, FakeQueues, order_of
from chassis.clock import new_id
from contracts import billing, generator


async def test_an_accepted_order_holds_its_price_and_queues_its_job(desk):
    await desk.open(1)
    command = order_of(1, desk.now)

    job, event = await desk.place(command)

    account = await desk.account(1)
    order = await desk.order(command.order_id)
    assert (account.available, account.held, account.in_flight) == (10, 10, 1)
    assert order.hold.parts == ((1, 10),)
    assert order.hold.expires_at == desk.now + timedelta(minutes=30 + 3 * 2 + 10)
    assert isinstance(job, generator.RunJob)
    assert job.start_before == event.start_before == desk.now + timedelta(minutes=30)
    assert (event.price_credits, event.pool, event.lane) == (10, "image", "regular")


async def test_orders_of_one_person_in_one_batch_see_each_other(desk):
    await desk.open(1)
    commands = [order_of(1, desk.now) for _ in range(4)]

    told = await desk.place(*commands)

    kinds = [type(each).__name__ for each in told]
    assert kinds == ["RunJob", "OrderAccepted"] * 2 + ["OrderRefused"] * 2
    assert [each.available_credits for each in told[4:]] == [0, 0]
    assert (await desk.account(1)).held == 20


async def test_the_same_order_again_changes_and_says_nothing(desk):
    await desk.open(1)
    command = order_of(1, desk.now)
    await desk.place(command, command)

    assert await desk.place(command) == []
    assert (await desk.account(1)).held == 10


async def test_a_refused_order_stays_refused(desk):
    await desk.open(1)
    command = order_of(1, desk.now, workflow=ORBIT)
    (refused,) = await desk.place(command)
    await desk.grant(1, 100)

    assert refused.code == "insufficient_credits"
    assert refused.available_credits == 20
    assert await desk.place(command) == []
    assert (await desk.order(command.order_id)).state == "refused"


async def test_a_used_id_with_another_body_is_rejected(desk):
    await desk.open(1, 2)
    command = order_of(1, desk.now)
    other = order_of(2, desk.now, order_id=command.order_id)

    told = await desk.place(command, other)

    assert isinstance(told[-1], billing.CommandRejected)
    assert told[-1].code == "same_id_other_body"
    assert (await desk.order(command.order_id)).user_id == 1
    assert (await desk.account(2)).held == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"price_credits": 9}, "price_changed"),
        ({"shown": timedelta(minutes=15, seconds=1)}, "price_expired"),
    ],
)
async def test_a_shown_price_that_no_longer_holds_is_answered_with_the_new_one(desk, fields, code):
    await desk.open(1)

    (refused,) = await desk.place(order_of(1, desk.now, **fields))

    assert (refused.code, refused.price_credits) == (code, 10)


async def test_a_price_shown_fifteen_minutes_ago_still_holds(desk):
    await desk.open(1)

    told = await desk.place(order_of(1, desk.now, shown=timedelta(minutes=15)))

    assert isinstance(told[-1], billing.OrderAccepted)


async def test_ten_orders_at_once_are_the_most(desk):
    await desk.open(1, amount=1000)

    told = await desk.place(*(order_of(1, desk.now) for _ in range(11)))

    assert (told[-1].code, told[-1].limit) == ("in_flight_cap", 10)
    assert (await desk.account(1)).in_flight == 10


async def test_the_free_quota_counts_within_a_batch_and_over_the_day(desk):
    await desk.open(1)
    await desk.place(*(order_of(1, desk.now, workflow=ENHANCE) for _ in range(4)))

    told = await desk.place(*(order_of(1, desk.now, workflow=ENHANCE) for _ in range(2)))

    assert isinstance(told[1], billing.OrderAccepted)
    assert (told[2].code, told[2].limit) == ("quota_exceeded", 5)


async def test_a_new_day_of_the_shop_brings_a_new_quota(desk):
    await desk.open(1)
    await desk.place(*(order_of(1, desk.now, workflow=ENHANCE) for _ in range(5)))
    desk.clock.advance(timedelta(hours=12))

    told = await desk.place(order_of(1, desk.now, workflow=ENHANCE))

    assert isinstance(told[-1], billing.OrderAccepted)


async def test_a_full_queue_takes_no_order_and_room_is_used_up_within_a_batch(desk):
    desk.queues = FakeQueues(room=1)
    await desk.open(1)

    told = await desk.place(order_of(1, desk.now), order_of(1, desk.now))

    assert isinstance(told[1], billing.OrderAccepted)
    assert told[2].code == "queue_full"


async def test_a_free_order_has_a_hold_too(desk):
    await desk.open(1)

    command = await desk.placed(1, workflow=ENHANCE)

    order = await desk.order(command.order_id)
    assert (order.hold.amount, order.hold.parts, order.hold.state) == (0, (), "pending")


async def test_who_has_no_account_or_wants_no_workflow_of_ours_is_refused(desk):
    unknown = billing.PlaceOrder(
        order_id=new_id(),
        user_id=1,
        workflow_id="video.nothing",
        catalogue_version=1,
        price_credits=1,
        priced_at=desk.now,
    )

    told = await desk.place(order_of(7, desk.now), unknown)

    assert [each.code for each in told] == ["no_account", "unknown_workflow"]


async def test_credits_are_spent_trial_first_then_bonus_then_paid(desk):
    await desk.open(1)
    await desk.grant(1, 7, lot="paid")
    await desk.grant(1, 5, lot="bonus")

    command = await desk.placed(1, workflow=ORBIT)

    assert (await desk.order(command.order_id)).hold.parts == ((1, 20), (3, 5), (2, 5))


async def test_expired_credits_do_not_pay(desk):
    await desk.open(1)
    desk.clock.advance(timedelta(days=2))

    (refused,) = await desk.place(order_of(1, desk.now))

    assert (refused.code, refused.available_credits) == ("insufficient_credits", 0)
    assert (await desk.account(1)).available == 0


async def test_black_gold_goes_to_the_priority_lane_while_it_lasts(desk):
    await desk.open(1)
    until = desk.now + timedelta(days=1)
    command = billing.SetTier(
        user_id=1, tier="black_gold", until=until, reason="test", actor="test"
    )
    await desk.batch(set_tiers, command, books=desk.books)

    now = await desk.place(order_of(1, desk.now, workflow=ENHANCE))
    desk.clock.advance(timedelta(days=1))
    later = await desk.place(order_of(1, desk.now, workflow=ENHANCE))

    assert now[-1].lane == "priority"
    assert later[-1].lane == "regular"


async def test_unlimited_tiers_have_no_daily_quota(desk):
    await desk.open(1)
    command = billing.SetTier(user_id=1, tier="vip", reason="test", actor="test")
    await desk.batch(set_tiers, command, books=desk.books)

    told = await desk.place(*(order_of(1, desk.now, workflow=ENHANCE) for _ in range(8)))

    assert len(told) == 16
    assert told[-1].lane == "regular"


async def test_a_price_of_many_lots_is_spread_over_a_batch_of_many_people(desk):
    people = list(range(1, 41))
    await desk.open(*people, amount=30)

    told = await desk.place(
        *(order_of(user, desk.now, workflow=PRODUCT_SCENE) for user in people for _ in range(5))
    )

    assert sum(isinstance(each, billing.OrderAccepted) for each in told) == 200
    assert {(await desk.account(user)).available for user in people} == {0}
