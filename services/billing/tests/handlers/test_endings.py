from datetime import timedelta

import pytest

from billing.handlers.ask_deliveries import ask_deliveries
from billing.handlers.cancel_order import cancel_orders
from billing.handlers.expire_holds import expire_holds
from billing.handlers.record_access import record_access_refused
from billing.handlers.record_delivery import record_deliveries
from billing.handlers.record_job_failed import record_jobs_cancelled, record_jobs_failed
from billing.handlers.record_job_started import record_jobs_started
from billing.testing import ENHANCE, ORBIT, order_of
from chassis.clock import id_floor
from chassis.errors import TransientError
from contracts import billing, gateway, generator, vpn


def failed(order, **fields):
    values = {"user_id": order.user_id, "failure_class": "node_error", **fields}
    return generator.JobFailed(order_id=order.order_id, **values)


def cancel(order, **fields):
    return billing.CancelOrder(**{"order_id": order.order_id, "user_id": order.user_id, **fields})


async def expired(desk, order):
    desk.clock.advance((await desk.order(order.order_id)).hold.expires_at - desk.now)
    return await desk.sweep(expire_holds)


async def test_success_posts_the_hold_once(desk):
    await desk.open(1)
    order = await desk.placed(1)

    told = await desk.succeed(order, order)

    assert await desk.succeed(order) == []
    (completed,) = told
    account = await desk.account(1)
    assert (completed.charged_credits, completed.gift, completed.cancel_lost) == (10, False, False)
    assert (account.available, account.held, account.in_flight) == (10, 0, 0)
    ended = await desk.order(order.order_id)
    assert (ended.state, ended.version, ended.hold.state) == ("completed", 2, "posted")


async def test_failure_returns_the_credits_to_their_lots(desk):
    await desk.open(1)
    await desk.grant(1, 50, lot="paid")
    order = await desk.placed(1, workflow=ORBIT)

    (refunded,) = await desk.batch(record_jobs_failed, failed(order), books=desk.books)

    account = await desk.account(1)
    assert (refunded.returned_credits, refunded.reason) == (30, "node_error")
    assert {number: lot.remaining for number, lot in account.lots.items()} == {1: 20, 2: 50}
    assert (account.available, account.held, account.in_flight) == (70, 0, 0)
    assert await desk.batch(record_jobs_failed, failed(order), books=desk.books) == []


async def test_a_refund_gives_the_free_order_of_the_day_back(desk):
    await desk.open(1)
    orders = [await desk.placed(1, workflow=ENHANCE) for _ in range(5)]
    await desk.batch(record_jobs_failed, failed(orders[0]), books=desk.books)

    told = await desk.place(order_of(1, desk.now, workflow=ENHANCE))

    assert isinstance(told[-1], billing.OrderAccepted)


async def test_a_failure_that_cannot_say_whose_order_it_is_refunds_it(desk):
    await desk.open(1)
    order = await desk.placed(1)
    unknown = failed(order, user_id=0, failure_class="undecodable")

    (refunded,) = await desk.batch(record_jobs_failed, unknown, books=desk.books)

    assert refunded.user_id == 1
    assert (await desk.account(1)).available == 20


async def test_refused_access_refunds(desk):
    await desk.open(1)
    order = await desk.placed(1)
    event = vpn.AccessRefused(order_id=order.order_id, user_id=1, code="unsupported")

    (refunded,) = await desk.batch(record_access_refused, event, books=desk.books)

    assert (refunded.reason, refunded.cancelled) == ("unsupported", False)


async def test_answers_about_unknown_orders_change_nothing(desk):
    stranger = order_of(9, desk.now)

    assert await desk.succeed(stranger) == []
    assert await desk.batch(record_jobs_failed, failed(stranger), books=desk.books) == []


async def test_a_cancel_asks_the_generator_once_and_refunds_nothing_itself(desk):
    await desk.open(1)
    order = await desk.placed(1)

    told = await desk.batch(cancel_orders, cancel(order), cancel(order), books=desk.books)

    (asked,) = told
    assert (asked.order_id, asked.reason) == (order.order_id, "cancelled_by_user")
    assert isinstance(asked, generator.CancelJob)
    assert (await desk.account(1)).held == 10


async def test_a_confirmed_cancel_refunds(desk):
    await desk.open(1)
    order = await desk.placed(1)
    event = generator.JobCancelled(order_id=order.order_id, user_id=1, reason="cancelled_by_user")

    (refunded,) = await desk.batch(record_jobs_cancelled, event, books=desk.books)

    assert (refunded.cancelled, refunded.returned_credits) == (True, 10)


async def test_a_result_that_beats_the_cancel_is_charged_and_says_so(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await desk.batch(cancel_orders, cancel(order), books=desk.books)

    (completed,) = await desk.succeed(order)

    assert (completed.cancel_lost, completed.charged_credits) == (True, 10)


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"user_id": 2}, "not_yours"), ({}, "finished")],
)
async def test_a_cancel_that_makes_no_sense_is_rejected(desk, fields, code):
    await desk.open(1, 2)
    order = await desk.placed(1)
    if code == "finished":
        await desk.succeed(order)
        code = "already_finished"

    (rejected,) = await desk.batch(cancel_orders, cancel(order, **fields), books=desk.books)

    assert (rejected.code, rejected.command_subject) == (code, billing.CancelOrder.subject)


async def hear_cancel(desk, command, *, sent_ago):
    said = id_floor(desk.now - timedelta(seconds=sent_ago))
    return await desk.batch(cancel_orders, command, said=said, books=desk.books)


async def test_a_cancel_that_overtook_its_order_waits_for_it(desk):
    await desk.open(1)
    order = order_of(1, desk.now)

    with pytest.raises(TransientError):
        await hear_cancel(desk, cancel(order), sent_ago=3)
    await desk.place(order)
    (asked,) = await hear_cancel(desk, cancel(order), sent_ago=6)

    assert isinstance(asked, generator.CancelJob)


async def test_a_cancel_whose_order_never_comes_is_rejected(desk):
    await desk.open(1)

    (rejected,) = await hear_cancel(desk, cancel(order_of(1, desk.now)), sent_ago=20)

    assert rejected.code == "unknown_order"


async def test_a_hold_nobody_answered_for_expires(desk):
    await desk.open(1)
    order = await desk.placed(1)
    desk.clock.advance(timedelta(minutes=45))
    early = await desk.sweep(expire_holds)

    (refunded,) = await expired(desk, order)

    assert early == []
    assert (refunded.reason, refunded.returned_credits) == ("hold_expired", 10)
    assert (await desk.order(order.order_id)).hold.state == "expired"
    assert (await desk.account(1)).available == 20
    assert await desk.sweep(expire_holds) == []


async def test_a_result_after_expiry_is_a_gift(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await expired(desk, order)

    (gift,) = await desk.succeed(order)

    assert (gift.gift, gift.charged_credits) == (True, 0)
    assert (await desk.order(order.order_id)).state == "refunded"
    assert (await desk.account(1)).available == 20
    assert await desk.succeed(order) == []


async def test_a_result_after_expiry_is_discarded_if_the_person_had_cancelled(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await desk.batch(cancel_orders, cancel(order), books=desk.books)
    (refunded,) = await expired(desk, order)

    assert await desk.succeed(order) == []
    assert refunded.cancelled


async def test_a_result_after_a_failure_is_discarded(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await desk.batch(record_jobs_failed, failed(order), books=desk.books)

    assert await desk.succeed(order) == []
    assert not (await desk.order(order.order_id)).gift


async def test_versions_count_what_was_told_about_an_order(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await expired(desk, order)
    before = (await desk.order(order.order_id)).version

    await desk.succeed(order)

    assert (before, (await desk.order(order.order_id)).version) == (2, 3)


async def test_a_started_order_runs_and_teaches_the_pace(desk):
    await desk.open(1)
    order = await desk.placed(1)
    event = generator.JobStarted(
        order_id=order.order_id, user_id=1, epoch=1, server="gpu-1", started_at=desk.now
    )

    await desk.batch(record_jobs_started, event, event, books=desk.books, pace=desk.pace)

    assert (await desk.order(order.order_id)).state == "running"
    assert desk.pace.servers("image", desk.now) == 1


async def test_a_late_start_does_not_reopen_an_ended_order(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await desk.succeed(order)
    event = generator.JobStarted(
        order_id=order.order_id, user_id=1, epoch=1, server="gpu-1", started_at=desk.now
    )

    await desk.batch(record_jobs_started, event, books=desk.books, pace=desk.pace)

    assert (await desk.order(order.order_id)).state == "completed"


async def test_an_unconfirmed_delivery_is_asked_for_ever_more_seldom(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await desk.succeed(order)
    asked = []
    for _ in range(4):
        desk.clock.advance(timedelta(minutes=10))
        asked.append(len(await desk.sweep(ask_deliveries)))

    assert asked == [1, 1, 0, 1]


async def test_a_recorded_delivery_is_not_asked_for(desk):
    await desk.open(1)
    told, blocked = [await desk.placed(1) for _ in range(2)]
    await desk.succeed(told, blocked)
    await desk.batch(
        record_deliveries,
        gateway.DeliveryRecorded(order_id=told.order_id, user_id=1, message_id=5),
        gateway.DeliveryRecorded(order_id=told.order_id, user_id=1, reason="bot_blocked"),
        gateway.DeliveryRecorded(order_id=blocked.order_id, user_id=1, reason="bot_blocked"),
        books=desk.books,
    )
    desk.clock.advance(timedelta(hours=1))

    assert await desk.sweep(ask_deliveries) == []


async def test_a_gift_is_delivered_as_a_gift(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await expired(desk, order)
    await desk.succeed(order)
    desk.clock.advance(timedelta(minutes=10))

    (command,) = await desk.sweep(ask_deliveries)

    assert (command.gift, command.charged_credits) == (True, 0)
    assert [each.object_key for each in command.outputs] == ["results/1.png"]
