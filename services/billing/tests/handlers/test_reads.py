from datetime import timedelta

import pytest

from billing.adapters.postgres_reads import PostgresReads
from billing.handlers.get_balance import get_balance
from billing.handlers.get_history import get_history
from billing.handlers.get_price import get_price
from billing.handlers.get_queue_position import get_queue_position
from billing.handlers.record_job_failed import record_jobs_failed
from billing.handlers.record_job_started import record_jobs_started
from billing.handlers.set_tier import set_tiers
from billing.testing import ENHANCE, ORBIT, WORKFLOWS, order_of
from chassis.clock import new_id
from contracts import billing, generator
from contracts.errors import RefusalError


class Desk:
    """Asks the way the gateway does."""

    def __init__(self, desk):
        self.desk = desk
        self.reads = PostgresReads(desk.database)

    async def balance(self, user_id):
        request = billing.GetBalance(user_id=user_id)
        return await get_balance(
            request, reads=self.reads, clock=self.desk.clock, terms=self.desk.terms
        )

    async def price(self, user_id, workflow_id):
        request = billing.GetPrice(user_id=user_id, workflow_id=workflow_id)
        return await get_price(
            request,
            reads=self.reads,
            clock=self.desk.clock,
            catalogue=WORKFLOWS,
            terms=self.desk.terms,
        )

    async def history(self, user_id, **fields):
        request = billing.GetHistory(user_id=user_id, **fields)
        return await get_history(request, reads=self.reads, plans={}, page_max=50)

    async def position(self, order_id):
        request = billing.GetQueuePosition(order_id=order_id)
        return await get_queue_position(
            request, reads=self.reads, clock=self.desk.clock, pace=self.desk.pace
        )


@pytest.fixture
def ask(postgres_desk):
    return Desk(postgres_desk)


async def test_a_balance_says_what_is_free_held_spent_and_expiring(postgres_desk, ask):
    desk = postgres_desk
    await desk.open(1, amount=100)
    await desk.succeed(await desk.placed(1))
    await desk.placed(1, workflow=ORBIT)

    balance = await ask.balance(1)

    assert balance.opened
    assert (balance.available_credits, balance.held_credits) == (80, 30)
    assert (balance.spent_today_credits, balance.debt_credits) == (10, 0)
    assert [(lot.lot, lot.remaining_credits) for lot in balance.lots] == [("paid", 80)]


async def test_what_was_spent_yesterday_is_not_spent_today(postgres_desk, ask):
    await postgres_desk.open(1)
    await postgres_desk.succeed(await postgres_desk.placed(1))
    postgres_desk.clock.advance(timedelta(hours=12))

    assert (await ask.balance(1)).spent_today_credits == 0


async def test_expired_credits_are_not_shown_before_the_sweep_either(postgres_desk, ask):
    await postgres_desk.open(1)
    postgres_desk.clock.advance(timedelta(days=2))

    balance = await ask.balance(1)

    assert (balance.available_credits, balance.lots) == (0, ())


async def test_a_stranger_has_an_empty_balance(ask):
    assert await ask.balance(9) == billing.Balance(user_id=9)


async def test_a_price_says_what_is_left_of_the_free_orders(postgres_desk, ask):
    await postgres_desk.open(1)
    await postgres_desk.placed(1, workflow=ENHANCE)

    free, paid = await ask.price(1, ENHANCE.id), await ask.price(1, ORBIT.id)

    assert (free.price_credits, free.free_left_today) == (0, 4)
    assert (paid.price_credits, paid.free_left_today, paid.available_credits) == (30, None, 20)
    assert paid.priced_at == postgres_desk.now


async def test_a_tier_without_limits_is_shown_none(postgres_desk, ask):
    await postgres_desk.open(1)
    command = billing.SetTier(user_id=1, tier="vip", reason="test", actor="test")
    await postgres_desk.batch(set_tiers, command, books=postgres_desk.books)

    price = await ask.price(1, ENHANCE.id)

    assert (price.tier, price.free_left_today) == ("vip", None)


async def test_an_unknown_workflow_has_no_price(ask):
    with pytest.raises(RefusalError) as refusal:
        await ask.price(1, "video.nothing")

    assert refusal.value.code == "unknown_workflow"


async def test_history_shows_hold_and_post_newest_first(postgres_desk, ask):
    desk = postgres_desk
    await desk.open(1)
    order = await desk.placed(1)
    desk.clock.advance(timedelta(seconds=5))
    await desk.succeed(order)

    history = await ask.history(1)

    assert [(entry.kind, entry.credits, entry.amount_credits) for entry in history.entries] == [
        ("post", 0, 10),
        ("hold", -10, 10),
        ("trial", 20, 20),
    ]
    assert history.entries[0].workflow_id == "image.product_scene"
    assert history.next_before == ""


async def test_history_pages_meet_without_gap_or_repeat(postgres_desk, ask):
    desk = postgres_desk
    await desk.open(1, amount=500)
    for _ in range(4):
        tier = billing.SetTier(user_id=1, tier="vip", reason="promo TEN", actor="promo")
        await desk.batch(set_tiers, tier, books=desk.books)
        order = await desk.placed(1, workflow=ORBIT)
        desk.clock.advance(timedelta(seconds=1))
        event = generator.JobFailed(order_id=order.order_id, user_id=1, failure_class="timeout")
        await desk.batch(record_jobs_failed, event, books=desk.books)
        desk.clock.advance(timedelta(seconds=1))
    whole = (await ask.history(1, limit=50)).entries

    pages, before = [], ""
    while True:
        page = await ask.history(1, limit=3, before=before)
        pages += page.entries
        before = page.next_before
        if not before:
            break

    assert pages == list(whole)
    assert len(whole) == 14
    assert [entry.reason for entry in whole if entry.kind == "tier"] == ["promo"] * 4


@pytest.mark.parametrize("before", ["-1", "x", "1; DROP TABLE transfers", "١"])
async def test_a_forged_cursor_is_refused(ask, before):
    with pytest.raises(RefusalError):
        await ask.history(1, before=before)


async def test_the_queue_puts_priority_first_then_who_came_first(postgres_desk, ask):
    desk = postgres_desk
    await desk.open(1, 2, 3, amount=100)
    first = await desk.placed(1)
    desk.clock.advance(timedelta(seconds=1))
    second = await desk.placed(2)
    await desk.placed(1, workflow=ORBIT)
    command = billing.SetTier(user_id=3, tier="black_gold", reason="test", actor="test")
    await desk.batch(set_tiers, command, books=desk.books)
    gold = await desk.placed(3)

    ahead = [(await ask.position(order.order_id)).ahead for order in (first, second, gold)]

    assert ahead == [1, 2, 0]


async def test_a_running_order_has_left_the_queue(postgres_desk, ask):
    desk = postgres_desk
    await desk.open(1)
    first = await desk.placed(1)
    desk.clock.advance(timedelta(seconds=1))
    second = await desk.placed(1)
    event = generator.JobStarted(
        order_id=first.order_id, user_id=1, epoch=1, server="gpu-1", started_at=desk.now
    )
    await desk.batch(record_jobs_started, event, books=desk.books, pace=desk.pace)

    running = await ask.position(first.order_id)
    waiting = await ask.position(second.order_id)

    assert (running.state, running.ahead) == ("running", 0)
    assert (waiting.state, waiting.ahead, waiting.eta_seconds) == ("accepted", 0, 4.0)


async def test_an_unknown_order_has_no_place(ask):
    with pytest.raises(RefusalError) as refusal:
        await ask.position(new_id())

    assert refusal.value.code == "unknown_order"


async def test_a_refused_order_says_so(postgres_desk, ask):
    await postgres_desk.open(1)
    command = order_of(1, postgres_desk.now, workflow=ORBIT)
    await postgres_desk.place(command)

    assert (await ask.position(command.order_id)).state == "refused"
