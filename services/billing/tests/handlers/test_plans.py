"""Plans bought with credits."""

from datetime import timedelta

from billing.domain import plans
from chassis.clock import new_id

USER = 7
MONTH = timedelta(days=30)


def kinds(events):
    return [type(each).__name__ for each in events]


async def test_a_plan_costs_its_credits_and_gives_its_tier(cashier):
    await cashier.desk.grant(USER, 500)

    events = await cashier.buy()

    assert kinds(events) == ["TierSet", "PlanBought"]
    bought = events[1]
    assert (bought.tier, bought.charged_credits, bought.available_credits) == ("vip", 300, 220)
    assert bought.until == events[0].until == cashier.now + MONTH
    account = await cashier.account()
    assert (account.tier, account.tier_until) == ("vip", bought.until)


async def test_one_order_id_buys_once(cashier):
    await cashier.desk.grant(USER, 1_000)
    order_id = new_id()
    await cashier.buy(order_id=order_id)

    again = await cashier.buy(order_id=order_id)
    (other,) = await cashier.buy("black_gold_30", 900, order_id=order_id)

    assert again == []
    assert (kinds([other]), other.code) == (["CommandRejected"], "same_id_other_body")
    assert (await cashier.account()).available == 720


async def test_the_same_plan_again_is_added_to_the_end(cashier):
    await cashier.desk.grant(USER, 1_000)
    await cashier.buy()
    await cashier.later(days=10)

    (_, bought) = await cashier.buy()

    assert bought.until == cashier.now + timedelta(days=50)


async def test_black_gold_begins_now_and_keeps_what_the_days_of_vip_are_worth(cashier):
    await cashier.desk.grant(USER, 2_000)
    await cashier.buy()
    await cashier.later(days=10)

    (_, bought) = await cashier.buy("black_gold_30", 900)
    (refused,) = await cashier.buy()

    worth = timedelta(days=20) / 3
    assert (bought.tier, bought.until) == ("black_gold", cashier.now + worth + timedelta(days=30))
    assert refused.code == "higher_tier_active"
    assert (await cashier.account()).available == 820


async def test_no_plan_buys_black_gold_for_less_than_its_price(cashier):
    plans_on_offer = {plan.tier: plan for plan in cashier.till.offers.plans.values()}
    vip, gold = plans_on_offer["vip"], plans_on_offer["black_gold"]

    a_day_of_vip, a_day_of_gold = vip.price_credits / vip.days, gold.price_credits / gold.days
    assert a_day_of_vip * plans.WORTH["black_gold"] >= a_day_of_gold * plans.WORTH["vip"]
    assert vip.stars / vip.days * plans.WORTH["black_gold"] >= gold.stars / gold.days


async def test_a_plan_that_cannot_be_bought_says_why(cashier):
    await cashier.desk.grant(USER, 100)

    (poor,) = await cashier.buy()
    (changed,) = await cashier.buy(price=299)
    (old,) = await cashier.buy(priced_at=cashier.now - timedelta(minutes=16))
    (unknown,) = await cashier.buy("vip_31", 300)
    (nobody,) = await cashier.buy(user_id=99)
    await cashier.adjust(-200)
    (owing,) = await cashier.buy()

    assert (poor.code, poor.available_credits) == ("insufficient_credits", 120)
    assert (changed.code, changed.price_credits) == ("price_changed", 300)
    assert (old.code, unknown.code) == ("price_expired", "unknown_product")
    assert (nobody.code, owing.code) == ("no_account", "in_debt")
    assert await cashier.rows("SELECT count(*) FROM plan_purchases") == [(0,)]


async def test_a_tier_needs_no_sweep_to_end(cashier):
    await cashier.desk.grant(USER, 1_000)
    await cashier.buy()
    await cashier.later(days=31)

    (_, bought) = await cashier.buy()

    assert bought.until == cashier.now + MONTH
