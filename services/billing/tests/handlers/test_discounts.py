from datetime import timedelta

import pytest

from billing.adapters.postgres_reads import PostgresReads
from billing.domain.discounts import Discount
from billing.handlers.expire_holds import expire_holds
from billing.handlers.get_price import get_price
from billing.handlers.record_job_failed import record_jobs_failed
from billing.testing import ENHANCE, ORBIT, WORKFLOWS, order_of
from contracts import billing, generator


async def give(desk, percent, *, user=1, key="draw:2026-11-20", hours=12):
    discount = Discount(user, key, percent, desk.now + timedelta(hours=hours))
    async with desk.begin() as uow:
        await desk.books.discounts.add(uow.connection, [discount], uow.now)


async def usable(desk, user=1):
    async with desk.begin() as uow:
        found = await desk.books.discounts.load(uow.connection, [user], uow.now)
    return sorted(each.percent for each in found.get(user, []))


async def fail(desk, order):
    event = generator.JobFailed(order_id=order.order_id, user_id=1, failure_class="timeout")
    return await desk.batch(record_jobs_failed, event, books=desk.books)


async def test_an_order_holds_the_discounted_price_and_uses_the_discount_up(desk):
    await desk.open(1, amount=100)
    await give(desk, 50)

    order = await desk.placed(1, workflow=ORBIT, price_credits=15)

    kept = await desk.order(order.order_id)
    assert (kept.price_credits, kept.base_price_credits, kept.discount_percent) == (15, 30, 50)
    assert (kept.hold.amount, await usable(desk)) == (15, [])


async def test_a_discount_counts_for_one_order_of_a_batch(desk):
    await desk.open(1, amount=100)
    await give(desk, 50)

    told = await desk.place(
        *(order_of(1, desk.now, workflow=ORBIT, price_credits=15) for _ in range(2))
    )

    assert [type(each).__name__ for each in told[1:]] == ["OrderAccepted", "OrderRefused"]
    assert (told[2].code, told[2].price_credits) == ("price_changed", 30)


async def test_the_next_best_discount_is_for_the_next_order(desk):
    await desk.open(1, amount=100)
    await give(desk, 15, key="promo:A")
    await give(desk, 50)

    told = await desk.place(
        order_of(1, desk.now, workflow=ORBIT, price_credits=15),
        order_of(1, desk.now, workflow=ORBIT, price_credits=26),
    )

    assert [each.price_credits for each in told[1::2]] == [15, 26]
    assert await usable(desk) == []


@pytest.mark.parametrize(("shown", "holds"), [(15, 30), (30, 15)])
async def test_a_discount_that_came_or_went_meanwhile_changes_the_price(desk, shown, holds):
    await desk.open(1, amount=100)
    await give(desk, 50, hours=1)
    if holds == 30:
        desk.clock.advance(timedelta(hours=1))

    (refused,) = await desk.place(order_of(1, desk.now, workflow=ORBIT, price_credits=shown))

    assert (refused.code, refused.price_credits) == ("price_changed", holds)
    assert await usable(desk) == ([50] if holds == 15 else [])


async def test_a_refused_order_uses_nothing_up(desk):
    await desk.open(1)
    await give(desk, 15)

    (refused,) = await desk.place(order_of(1, desk.now, workflow=ORBIT, price_credits=26))

    assert refused.code == "insufficient_credits"
    assert await usable(desk) == [15]


async def test_a_free_order_uses_nothing_up(desk):
    await desk.open(1)
    await give(desk, 50)

    await desk.placed(1, workflow=ENHANCE)

    assert await usable(desk) == [50]


async def test_a_refunded_order_gives_it_back_while_it_is_valid(desk):
    await desk.open(1, amount=100)
    await give(desk, 50)
    first = await desk.placed(1, workflow=ORBIT, price_credits=15)
    await fail(desk, first)
    back = await usable(desk)
    second = await desk.placed(1, workflow=ORBIT, price_credits=15)
    await fail(desk, first)
    once = await usable(desk)
    desk.clock.advance(timedelta(hours=12))
    await fail(desk, second)

    assert (back, once, await usable(desk)) == ([50], [], [])
    assert (await desk.account(1)).held == 0


async def test_an_expired_hold_gives_it_back_too_and_a_completed_order_does_not(desk):
    await desk.open(1, amount=100)
    await give(desk, 50)
    lost = await desk.placed(1, workflow=ORBIT, price_credits=15)
    desk.clock.advance((await desk.order(lost.order_id)).hold.expires_at - desk.now)
    await desk.sweep(expire_holds)
    back = await usable(desk)
    await desk.succeed(lost)
    after_gift = await usable(desk)

    await desk.succeed(await desk.placed(1, workflow=ORBIT, price_credits=15))

    assert (back, after_gift, await usable(desk)) == ([50], [50], [])


async def test_the_shown_price_says_what_the_discount_does(postgres_desk):
    desk = postgres_desk
    await desk.open(1)
    await give(desk, 5, key="promo:A")
    await give(desk, 30)

    async def shown(user, workflow):
        return await get_price(
            billing.GetPrice(user_id=user, workflow_id=workflow.id),
            reads=PostgresReads(desk.database),
            clock=desk.clock,
            catalogue=WORKFLOWS,
            terms=desk.terms,
        )

    dear, free, other = await shown(1, ORBIT), await shown(1, ENHANCE), await shown(2, ORBIT)

    assert (dear.price_credits, dear.base_price_credits, dear.discount_percent) == (21, 30, 30)
    assert dear.discount_until == desk.now + timedelta(hours=12)
    assert (free.price_credits, free.discount_percent, free.discount_until) == (0, 0, None)
    assert (other.price_credits, other.discount_percent) == (30, 0)
