"""Clocks that disagree, rows that cannot be voided, trials that wait: nobody else suffers."""

from datetime import timedelta
from typing import Any

from billing.domain.terms import Terms
from billing.handlers.record_job_failed import record_jobs_failed
from billing.handlers.renew_trials import renew_trials
from billing.jobs import sweeps
from billing.testing import WORKFLOWS, order_of
from contracts import billing, generator


def failed(order: billing.PlaceOrder) -> generator.JobFailed:
    return generator.JobFailed(
        order_id=order.order_id, user_id=order.user_id, epoch=1, failure_class="out_of_memory"
    )


async def test_a_day_that_goes_back_does_not_make_a_refund_impossible(desk: Any) -> None:
    """Two replicas' clocks differ by 2 s around the shop's midnight."""
    await desk.open(1)
    after = desk.now.replace(hour=0, minute=0, second=1) + timedelta(days=1)
    free = next(each for each in WORKFLOWS.values() if each.free_per_day)
    orders = []
    for moment in (after, after - timedelta(seconds=2), after):
        desk.clock.moment = moment
        orders.append(order_of(1, desk.now, workflow=free))
        await desk.place(orders[-1])

    for order in orders:
        await desk.batch(record_jobs_failed, failed(order), books=desk.books)

    states = [(await desk.order(order.order_id)).state for order in orders]
    assert states == ["refunded"] * 3


async def test_one_hold_that_cannot_be_voided_does_not_keep_the_others(postgres_desk: Any) -> None:
    desk = postgres_desk
    await desk.open(1, 2, amount=100)
    poison, innocent = await desk.placed(1), await desk.placed(2)
    async with desk.begin() as uow:
        await uow.connection.execute("UPDATE accounts SET held = 0 WHERE user_id = 1")
    desk.clock.advance(timedelta(hours=2))

    await sweeps(desk.outbox, books=desk.books, terms=desk.terms)["expire-holds"]()

    assert (await desk.order(innocent.order_id)).state == "refunded"
    assert (await desk.order(poison.order_id)).state == "accepted"


async def test_trials_that_wait_do_not_hide_those_behind_them(desk: Any) -> None:
    desk.terms = Terms(zone=desk.terms.zone, rows_max=1)
    await desk.open(1)
    desk.clock.advance(timedelta(seconds=1))
    await desk.open(2)
    desk.clock.advance(timedelta(days=2) - timedelta(minutes=5))
    await desk.placed(1)
    desk.clock.advance(timedelta(minutes=10))

    async with desk.begin() as uow:
        tick = billing.RenewTrials(due_at=desk.now)
        await renew_trials(tick, uow, books=desk.books, terms=desk.terms)

    assert (await desk.account(2)).trial_renews_at > desk.now
