"""/history tells what happened: one movement one line, refunds of plans, orders that were free."""

from datetime import timedelta

from billing.domain.discounts import Discount
from billing.handlers.get_charges import get_charges
from billing.handlers.get_history import get_history
from billing.handlers.get_offers import get_offers
from billing.testing import ORBIT, order_of
from contracts import billing
from contracts.payments import GetCharges, GetOffers

USER = 7


async def history(cashier):
    request = billing.GetHistory(user_id=USER, limit=50)
    plans = cashier.till.offers.plans
    found = await get_history(request, reads=cashier.reads, plans=plans, page_max=50)
    return found.entries


async def offers(cashier):
    return await get_offers(
        GetOffers(user_id=USER),
        till=cashier.till,
        seen=cashier.seen,
        reads=cashier.reads,
        clock=cashier.desk.clock,
    )


async def subscribed(cashier, plan_id="black_gold_30", stars=750, charge_id="charge-1"):
    """Subscribed, and renewed after 30 days."""
    created = await cashier.invoice(plan_id, stars)
    await cashier.pay(created, charge_id, recurring=True, first_recurring=True)
    await cashier.later(days=29)
    await cashier.pay(created, f"{charge_id}-again", recurring=True)
    await cashier.later(seconds=1)


async def test_a_correction_over_several_lots_is_one_line(cashier):
    await cashier.bought()
    await cashier.later(seconds=1)

    await cashier.adjust(-340)

    first = (await history(cashier))[0]
    assert (first.kind, first.credits, first.amount_credits) == ("adjust", -340, 340)


async def test_a_plan_for_credits_is_one_line_with_its_name(cashier):
    await cashier.bought()
    await cashier.later(seconds=1)

    await cashier.buy()

    first, second = (await history(cashier))[:2]
    assert (first.kind, first.credits) == ("plan", -300)
    assert (first.tier, first.days) == ("vip", 30)
    assert second.kind != "plan"


async def test_a_refunded_plan_says_its_money_and_what_was_taken(cashier):
    await subscribed(cashier)

    await cashier.refund("charge-1-again")
    await cashier.refunded("charge-1-again")

    (line,) = [each for each in await history(cashier) if each.kind == "refund"]
    assert (line.tier, line.days, line.reason) == ("black_gold", 30, "refunded")
    assert (line.amount_minor, line.currency, line.taken_days) == (750, "XTR", 30)


async def test_a_subscription_whose_money_went_back_is_over(cashier):
    await subscribed(cashier)
    before = [each.charge_id for each in (await offers(cashier)).subscriptions]

    await cashier.refunded("charge-1-again")
    await cashier.refunded("charge-1")
    (too_soon,) = await cashier.change("charge-1", cancelled=False)
    stoppable = [each.state for each in (await offers(cashier)).subscriptions]
    await cashier.edited("charge-1", cancelled=True)

    assert (too_soon.code, stoppable) == ("already_finished", ["active"])
    assert before == ["charge-1"]
    assert (await cashier.account()).tier == "none"
    assert (await offers(cashier)).subscriptions == ()
    (refused,) = await cashier.change("charge-1", cancelled=False)
    assert refused.code == "already_finished"
    (stopped,) = await cashier.change("charge-1", cancelled=True)
    assert stopped.cancelled


async def test_a_subscription_of_which_an_older_payment_went_back_goes_on(cashier):
    await subscribed(cashier)

    await cashier.refunded("charge-1")
    await cashier.edited("charge-1", cancelled=True)

    assert [each.charge_id for each in (await offers(cashier)).subscriptions] == ["charge-1"]
    (resumed,) = await cashier.change("charge-1", cancelled=False)
    assert not resumed.cancelled


async def test_a_renewal_under_a_higher_tier_says_where_its_days_went(cashier):
    vip = await cashier.invoice("vip_30", 250)
    await cashier.pay(vip, "vip-1", recurring=True, first_recurring=True)
    gold = await cashier.invoice("black_gold_30", 750)
    await cashier.pay(gold, "gold-1", recurring=True, first_recurring=True)
    await cashier.later(days=1)

    events = await cashier.pay(vip, "vip-2", recurring=True)

    told = next(each for each in events if type(each).__name__ == "PaymentCredited")
    assert (told.tier, told.added_to, told.added_days) == ("vip", "black_gold", 10)
    assert told.until == (await cashier.account()).tier_until


async def test_an_order_a_discount_paid_whole_is_shown(cashier):
    desk = cashier.desk
    gift = Discount(USER, "promo:ALL", 100, desk.now + timedelta(days=1))
    async with desk.begin() as uow:
        await desk.books.discounts.add(uow.connection, [gift], desk.now)
    await cashier.later(seconds=1)
    command = order_of(USER, desk.now, workflow=ORBIT, price_credits=0)

    await desk.place(command)

    (line,) = [each for each in await history(cashier) if each.kind == "free"]
    assert (line.order_id, line.workflow_id) == (command.order_id, ORBIT.id)
    assert (line.credits, line.percent) == (0, 100)


async def test_charges_say_what_their_product_is(cashier):
    pack = await cashier.invoice()
    await cashier.pay(pack, amount_minor=1)
    await cashier.later(seconds=1)
    await subscribed(cashier, "vip_30", 250, "vip-1")

    found = await get_charges(
        GetCharges(user_id=USER), seen=cashier.seen, offers=cashier.till.offers
    )

    plan, _, held = found.charges
    assert (plan.tier, plan.days, plan.pack_credits) == ("vip", 30, 0)
    assert (held.state, held.credits, held.pack_credits, held.tier) == ("review", 0, 330, "")


async def test_the_bonus_of_a_pack_does_not_expire(cashier):
    await cashier.bought()

    lots = await cashier.rows(
        "SELECT kind, expires_at FROM grants WHERE user_id = $1 ORDER BY kind", USER
    )

    assert lots == [("bonus", None), ("paid", None)]
