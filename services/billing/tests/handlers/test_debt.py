"""What is owed is said wherever something costs, and seen wherever it is paid."""

from datetime import timedelta

import pytest

from billing.handlers.get_history import get_history
from billing.handlers.get_offers import get_offers
from billing.handlers.get_price import get_price
from billing.handlers.record_job_failed import record_jobs_failed
from billing.testing import ORBIT, WORKFLOWS, order_of
from contracts import billing, errors, generator
from contracts.payments import GetOffers

USER = 7


@pytest.fixture
async def owing(cashier):
    """Somebody who spent 200 of what was then called back: 180 are owed, nothing is there."""
    await cashier.bought()
    await cashier.adjust(-200)
    await cashier.later(seconds=1)
    await cashier.refunded()
    await cashier.later(seconds=1)
    return cashier


async def history(cashier):
    request = billing.GetHistory(user_id=USER, limit=50)
    plans = cashier.till.offers.plans
    found = await get_history(request, reads=cashier.reads, plans=plans, page_max=50)
    return [(each.kind, each.reason, each.credits, each.debt_credits) for each in found.entries]


async def test_the_offers_and_a_price_say_what_is_owed(owing):
    desk = owing.desk
    offers = await get_offers(
        GetOffers(user_id=USER),
        till=owing.till,
        seen=owing.seen,
        reads=owing.reads,
        clock=desk.clock,
    )
    price = await get_price(
        billing.GetPrice(user_id=USER, workflow_id=ORBIT.id),
        reads=owing.reads,
        clock=desk.clock,
        catalogue=WORKFLOWS,
        terms=desk.terms,
    )

    assert (offers.available_credits, offers.debt_credits) == (0, 180)
    assert (price.available_credits, price.debt_credits) == (0, 180)


async def test_a_refusal_over_a_debt_says_how_much_it_is(owing):
    command = order_of(USER, owing.now, workflow=ORBIT)
    (order,) = await owing.desk.place(command)
    (plan,) = await owing.buy()

    assert (order.code, order.debt_credits) == (errors.IN_DEBT, 180)
    assert (plan.code, plan.debt_credits, plan.price_credits) == (errors.IN_DEBT, 180, 300)


async def test_history_shows_what_became_owed_and_what_paid_it(owing):
    await owing.desk.grant(USER, 100, grant_key="first", reason="payment")
    await owing.later(seconds=1)
    await owing.desk.grant(USER, 110, grant_key="second", reason="payment")

    lines = await history(owing)

    assert lines[0] == ("grant", "payment", 30, 80)
    assert lines[1] == ("grant", "payment", 0, 100)
    assert ("revoke", "refund", -150, -180) in lines


async def test_a_reserve_that_pays_a_debt_is_told_as_that(cashier):
    desk = cashier.desk
    order = await desk.placed(USER)
    await cashier.adjust(-14)
    await cashier.later(seconds=1)
    event = generator.JobFailed(
        order_id=order.order_id, user_id=USER, failure_class=errors.FAILED_TIMEOUT
    )

    (refunded,) = await desk.batch(record_jobs_failed, event, books=desk.books)

    assert (refunded.returned_credits, refunded.debt_paid_credits) == (10, 4)
    assert (await history(cashier))[0] == ("void", errors.FAILED_TIMEOUT, 6, 4)
    assert (await cashier.account()).available == 6
    assert desk.now - order.priced_at < timedelta(minutes=1)
