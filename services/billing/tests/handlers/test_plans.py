"""Plans bought with credits."""

from datetime import timedelta

from billing.domain import plans
from billing.handlers.set_tier import set_tiers
from chassis.clock import new_id
from contracts.billing import SetTier

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


async def subscribed(cashier, plan, stars, charge_id):
    made = await cashier.invoice(plan, stars)
    await cashier.pay(made, charge_id, recurring=True, first_recurring=True)
    return made


async def given_back(cashier, charge_id):
    await cashier.refund(charge_id)
    await cashier.refunded(charge_id)
    account = await cashier.account()
    return account.tier, account.tier_until


async def test_a_refunded_black_gold_ends_though_a_vip_renewal_came_after_it(cashier):
    began = cashier.now
    vip = await subscribed(cashier, "vip_30", 250, "vip")
    await cashier.later(days=10)
    await subscribed(cashier, "black_gold_30", 750, "gold")
    await cashier.later(days=15)
    await cashier.pay(vip, "vip-2", recurring=True)
    assert (await cashier.account()).tier == "black_gold"

    tier = await given_back(cashier, "gold")

    assert tier == ("vip", began + timedelta(days=60)), "two months of VIP are paid for"


async def test_a_refunded_vip_takes_its_worth_of_black_gold_and_no_more(cashier):
    await subscribed(cashier, "vip_30", 250, "vip")
    await cashier.later(days=10)
    bought = cashier.now
    await subscribed(cashier, "black_gold_30", 750, "gold")

    tier = await given_back(cashier, "vip")

    assert tier == ("black_gold", bought + timedelta(days=30))


async def test_in_whatever_order_all_is_given_back_nothing_is_left(cashier):
    await cashier.desk.grant(USER, 900)
    vip = await subscribed(cashier, "vip_30", 250, "vip")
    await cashier.later(days=3)
    await subscribed(cashier, "black_gold_30", 750, "gold")
    await cashier.later(days=3)
    await cashier.pay(vip, "vip-2", recurring=True)
    bought = cashier.now
    await cashier.buy("black_gold_30", 900)

    await given_back(cashier, "vip")
    await given_back(cashier, "gold")
    with_credits_alone = await given_back(cashier, "vip-2")

    assert with_credits_alone == ("black_gold", bought + timedelta(days=30))


async def test_days_that_are_over_give_nothing_back_later(cashier):
    await subscribed(cashier, "black_gold_30", 750, "gold")
    await cashier.later(days=31)
    bought = cashier.now
    await subscribed(cashier, "vip_30", 250, "vip")

    assert await given_back(cashier, "gold") == ("vip", bought + timedelta(days=30))
    assert await given_back(cashier, "vip") == ("none", None)


async def test_what_an_operator_set_stays_whatever_is_given_back(cashier):
    await subscribed(cashier, "black_gold_30", 750, "gold")
    until = cashier.now + timedelta(days=5)
    command = SetTier(user_id=USER, tier="vip", until=until, reason="made good", actor="op")
    await cashier.desk.batch(set_tiers, command, books=cashier.desk.books)

    assert await given_back(cashier, "gold") == ("vip", until)


async def test_a_refused_refund_brings_black_gold_back_as_it_was(cashier):
    vip = await subscribed(cashier, "vip_30", 250, "vip")
    await cashier.later(days=10)
    await subscribed(cashier, "black_gold_30", 750, "gold")
    await cashier.pay(vip, "vip-2", recurring=True)
    before = await cashier.account()
    await cashier.refund("gold")
    assert (await cashier.account()).tier == "vip"

    await cashier.refunded("gold", code="refused")

    after = await cashier.account()
    assert (after.tier, after.tier_until) == (before.tier, before.tier_until)
    assert (await given_back(cashier, "gold"))[0] == "vip"
