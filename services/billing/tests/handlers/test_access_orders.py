"""VPN access bought with credits: held, granted by vpn, and only then charged."""

from datetime import timedelta

import msgspec
import pytest

from billing.adapters import access_file
from billing.domain import access
from billing.handlers import buy_access
from billing.handlers.apart import apart
from billing.handlers.cancel_order import cancel_orders
from billing.handlers.expire_holds import expire_holds
from billing.handlers.record_access import record_access_granted, record_access_refused
from chassis.clock import id_floor, new_id
from chassis.errors import ConfigurationError
from contracts import billing, errors, vpn
from contracts.access import AccessPlan, BuyAccess, RenewAccess
from contracts.ids import renewal_order_id, renewal_order_ids

USER = 7
MONTH = AccessPlan(id="vpn_30", price_credits=200, days=30, traffic_gib=100)
TRIAL = AccessPlan(id="vpn_trial", price_credits=0, days=3, kind="trial")
TRAFFIC = AccessPlan(id="vpn_50_gib", price_credits=40, kind="traffic", traffic_gib=50)
PLANS = {plan.id: plan for plan in (MONTH, TRIAL, TRAFFIC)}
SUBSCRIPTION = new_id()


class Shop:
    def __init__(self, desk):
        self.desk = desk

    async def ask(self, command, said=None):
        handler = apart(
            buy_access.buy_access,
            buy_access.access_refused,
            books=self.desk.books,
            plans=PLANS,
            terms=self.desk.terms,
        )
        return await self.desk.batch(handler, command, said=said)

    def order(self, plan=MONTH, **fields):
        values = {
            "order_id": new_id(),
            "user_id": USER,
            "price_credits": plan.price_credits,
            "priced_at": self.desk.now,
            **fields,
        }
        return BuyAccess(plan_id=plan.id, **values)

    def renewal(self, period_end, **fields):
        return RenewAccess(
            order_id=renewal_order_id(SUBSCRIPTION, period_end),
            user_id=USER,
            subscription_id=SUBSCRIPTION,
            period_end=period_end,
            **{"plan_id": MONTH.id, **fields},
        )

    async def granted(self, order, days=30):
        event = vpn.AccessGranted(
            order_id=order.order_id,
            user_id=USER,
            subscription_id=SUBSCRIPTION,
            plan=order.plan_id,
            until=self.desk.now + timedelta(days=days),
        )
        return await self.desk.batch(
            record_access_granted, event, books=self.desk.books, plans=PLANS
        )

    async def refused(self, order, code=errors.NO_NODES):
        event = vpn.AccessRefused(order_id=order.order_id, user_id=USER, code=code)
        return await self.desk.batch(record_access_refused, event, books=self.desk.books)

    async def money(self):
        account = await self.desk.account(USER)
        return account.available, account.held, account.in_flight


@pytest.fixture
async def shop(postgres_desk):
    desk = postgres_desk
    await desk.open(USER)
    await desk.grant(USER, 480)
    return Shop(desk)


@pytest.mark.parametrize(("seconds", "counts_as"), [(-30, -30), (+30, 0)])
async def test_vpn_is_told_when_it_was_chosen(shop, seconds, counts_as):
    """However late it is held; a clock ahead of ours counts as now."""
    now = shop.desk.now
    said = id_floor(now + timedelta(seconds=seconds))

    (grant,) = await shop.ask(shop.order(), said=said)

    assert grant.chosen_at == now + timedelta(seconds=counts_as)


async def test_the_price_is_held_until_vpn_has_given_the_access(shop):
    order = shop.order()

    (grant,) = await shop.ask(order)
    held = await shop.money()
    (bought,) = await shop.granted(order)

    assert (grant.plan, grant.days, grant.traffic_bytes) == ("vpn_30", 30, 0)
    assert (grant.renews, grant.trial) == (None, False)
    assert held == (300, 200, 1)
    assert await shop.money() == (300, 0, 0)
    assert (bought.charged_credits, bought.available_credits, bought.kind) == (200, 300, "plan")
    assert (await shop.desk.order(order.order_id)).state == "completed"


async def test_the_trial_holds_nothing_and_traffic_buys_no_days(shop):
    (trial,) = await shop.ask(shop.order(TRIAL))
    (traffic,) = await shop.ask(shop.order(TRAFFIC))

    assert (trial.trial, trial.days) == (True, 3)
    assert (traffic.days, traffic.traffic_bytes) == (0, 50 << 30)
    assert await shop.money() == (460, 40, 2)


async def test_the_same_order_again_holds_once_and_another_body_is_rejected(shop):
    order = shop.order()
    await shop.ask(order)

    again = await shop.ask(order)
    (other,) = await shop.ask(shop.order(TRAFFIC, order_id=order.order_id))

    assert again == []
    assert (type(other).__name__, other.code) == ("CommandRejected", "same_id_other_body")
    assert (await shop.money())[1] == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"price_credits": 199}, "price_changed"),
        ({"plan_id": "vpn_9000"}, "unknown_product"),
        ({"user_id": 99}, "no_account"),
    ],
)
async def test_what_cannot_be_sold_is_refused_and_nothing_is_held(shop, fields, code):
    order = shop.order()
    changed = {name: getattr(order, name) for name in order.__struct_fields__} | fields

    (refused,) = await shop.ask(BuyAccess(**changed))

    assert (type(refused).__name__, refused.code) == ("AccessNotBought", code)
    assert await shop.money() == (500, 0, 0)


async def test_a_stale_price_says_what_it_costs_now(shop):
    order = shop.order(priced_at=shop.desk.now - timedelta(minutes=15, seconds=1))

    (refused,) = await shop.ask(order)

    assert (refused.code, refused.price_credits) == ("price_expired", 200)


async def test_a_shortfall_is_refused_and_the_same_order_may_be_asked_for_again(shop):
    spent = shop.order()
    for _ in range(2):
        await shop.ask(shop.order())
    (short,) = await shop.ask(spent)
    await shop.desk.grant(USER, 1_000)

    (grant,) = await shop.ask(spent)

    assert (short.code, short.available_credits) == ("insufficient_credits", 100)
    assert grant.order_id == spent.order_id


async def test_a_refusal_of_vpn_charges_nobody(shop):
    order = shop.order()
    await shop.ask(order)

    (told,) = await shop.refused(order)

    assert (type(told).__name__, told.code, told.renewal) == ("AccessNotBought", "no_nodes", False)
    assert await shop.money() == (500, 0, 0)
    assert await shop.refused(order) == []
    (again,) = await shop.ask(order)
    assert (type(again).__name__, again.code) == ("AccessNotBought", "no_nodes")


async def test_a_grant_after_the_hold_expired_is_taken_back(shop):
    order = shop.order()
    await shop.ask(order)
    shop.desk.clock.advance(shop.desk.terms.access_hold)
    (expired,) = await shop.desk.sweep(expire_holds)

    (revoke,) = await shop.granted(order)

    assert (type(expired).__name__, expired.code) == ("AccessNotBought", "hold_expired")
    assert (type(revoke).__name__, revoke.order_id) == ("RevokeAccess", order.order_id)
    assert await shop.money() == (500, 0, 0)


async def test_a_grant_nobody_ordered_is_taken_back_and_a_repeated_one_is_not(shop):
    order = shop.order()
    await shop.ask(order)
    await shop.granted(order)

    assert await shop.granted(order) == []
    (revoke,) = await shop.granted(shop.order())

    assert type(revoke).__name__ == "RevokeAccess"


async def test_a_period_is_charged_once_at_the_price_of_the_day(shop):
    period_end = shop.desk.now + timedelta(days=1)

    (grant,) = await shop.ask(shop.renewal(period_end))
    repeated = await shop.ask(shop.renewal(period_end, attempt=2))
    (bought,) = await shop.granted(shop.renewal(period_end))

    assert (grant.renews, grant.days) == (period_end, 30)
    assert repeated == []
    assert (bought.renewal, bought.charged_credits) == (True, 200)
    assert await shop.ask(shop.renewal(period_end, attempt=3)) == []
    assert await shop.money() == (300, 0, 0)


async def test_a_renewal_that_vpn_refused_may_be_asked_for_again_and_is_charged_once(shop):
    period_end = shop.desk.now + timedelta(days=1)
    (first,) = await shop.ask(shop.renewal(period_end))
    (told,) = await shop.refused(first_order := shop.renewal(period_end))

    (second,) = await shop.ask(shop.renewal(period_end, attempt=2))
    open_again = await shop.ask(shop.renewal(period_end, attempt=3))
    held = await shop.money()
    (bought,) = await shop.granted(msgspec.structs.replace(first_order, order_id=second.order_id))

    ids = renewal_order_ids(SUBSCRIPTION, period_end)
    assert (told.code, told.order_id, told.renewal) == ("no_nodes", ids[0], True)
    assert (first.order_id, second.order_id, second.renews) == (*ids[:2], period_end)
    assert (open_again, held) == ([], (300, 200, 1))
    assert (bought.order_id, bought.renewal, bought.charged_credits) == (ids[1], True, 200)
    assert await shop.ask(shop.renewal(period_end, attempt=4)) == []
    assert await shop.money() == (300, 0, 0)


async def test_a_renewal_whose_hold_expired_may_be_asked_for_again(shop):
    period_end = shop.desk.now + timedelta(days=1)
    await shop.ask(shop.renewal(period_end))
    shop.desk.clock.advance(shop.desk.terms.access_hold)
    (expired,) = await shop.desk.sweep(expire_holds)

    (again,) = await shop.ask(shop.renewal(period_end, attempt=2))
    (late,) = await shop.granted(shop.renewal(period_end))

    assert (expired.code, expired.renewal) == ("hold_expired", True)
    assert again.order_id == renewal_order_ids(SUBSCRIPTION, period_end)[1]
    assert (type(late).__name__, late.order_id) == ("RevokeAccess", expired.order_id)
    assert await shop.money() == (300, 200, 1)


async def test_a_renewal_that_nobody_ever_answers_is_asked_again_before_the_period_ends(shop):
    """Half a day without vpn: its answers come too late, and the period's last order is charged."""
    period_end = shop.desk.now + timedelta(days=1)
    asked = shop.renewal(period_end)
    for order_id in renewal_order_ids(SUBSCRIPTION, period_end)[:3]:
        (grant,) = await shop.ask(asked)
        assert grant.order_id == order_id
        shop.desk.clock.advance(shop.desk.terms.access_hold)
        (expired,) = await shop.desk.sweep(expire_holds)
        assert (expired.order_id, expired.code) == (order_id, "hold_expired")
    assert shop.desk.now < period_end

    (last,) = await shop.ask(asked)
    (bought,) = await shop.granted(msgspec.structs.replace(asked, order_id=last.order_id))

    assert (bought.charged_credits, bought.renewal) == (200, True)
    assert await shop.money() == (300, 0, 0)


async def test_a_period_has_so_many_orders_and_no_more(shop):
    period_end = shop.desk.now + timedelta(days=1)
    renewal = shop.renewal(period_end)
    for order_id in renewal_order_ids(SUBSCRIPTION, period_end):
        (grant,) = await shop.ask(renewal)
        assert grant.order_id == order_id
        await shop.refused(msgspec.structs.replace(renewal, order_id=order_id))

    (told,) = await shop.ask(renewal)

    assert (type(told).__name__, told.code) == ("AccessNotBought", "no_nodes")
    assert await shop.money() == (500, 0, 0)


async def test_a_renewal_under_an_id_that_is_not_its_periods_is_refused(shop):
    period_end = shop.desk.now + timedelta(days=1)

    (told,) = await shop.ask(msgspec.structs.replace(shop.renewal(period_end), order_id=new_id()))

    assert (type(told).__name__, told.code) == ("AccessNotBought", "invalid")
    assert await shop.money() == (500, 0, 0)


async def test_a_renewal_that_was_short_of_credits_succeeds_once_they_are_there(shop):
    period_end = shop.desk.now + timedelta(days=1)
    for _ in range(2):
        await shop.ask(shop.order())

    (short,) = await shop.ask(shop.renewal(period_end))
    await shop.desk.grant(USER, 1_000)
    (grant,) = await shop.ask(shop.renewal(period_end, attempt=2))

    assert (short.renewal, short.period_end) == (True, period_end)
    assert (short.subscription_id, short.code) == (SUBSCRIPTION, "insufficient_credits")
    assert grant.order_id == renewal_order_id(SUBSCRIPTION, period_end)


async def test_a_trial_and_a_plan_that_is_gone_do_not_renew(shop):
    period_end = shop.desk.now + timedelta(days=1)

    (trial,) = await shop.ask(shop.renewal(period_end, plan_id=TRIAL.id))
    (gone,) = await shop.ask(shop.renewal(period_end, plan_id="vpn_7"))

    assert (trial.code, gone.code) == ("unknown_product", "unknown_product")


async def test_an_access_order_is_no_job_to_cancel(shop):
    order = shop.order()
    await shop.ask(order)
    cancel = billing.CancelOrder(order_id=order.order_id, user_id=USER)

    (rejected,) = await shop.desk.batch(cancel_orders, cancel, books=shop.desk.books)

    assert (type(rejected).__name__, rejected.code) == ("CommandRejected", "unknown_order")


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ({"id": "VPN"}, "id"),
        ({"kind": "gold"}, "kind"),
        ({"price_credits": 0}, "only a trial is free"),
        ({"price_credits": -1}, "price_credits"),
        ({"days": 0}, "days"),
        ({"days": 3_661}, "days"),
        ({"traffic_gib": -1}, "traffic_gib"),
        ({"kind": "traffic", "days": 0, "traffic_gib": 0}, "traffic_gib"),
        ({"kind": "traffic", "days": 1, "traffic_gib": 5}, "no days"),
    ],
)
def test_a_plan_that_cannot_be_sold_is_named(plan, problem):
    values = {"id": "vpn_30", "price_credits": 200, "days": 30, **plan}

    found = access.problems([AccessPlan(**values)])

    assert found
    assert all(each.startswith(values["id"]) for each in found)
    assert any(problem in each for each in found)


def test_plans_that_can_be_sold_have_no_problem_and_an_id_stands_once():
    assert access.problems([MONTH, TRIAL, TRAFFIC]) == []
    assert access.problems([MONTH, MONTH]) == ["vpn_30: id: stands twice"]


def test_a_mistake_in_the_file_is_refused_at_start(tmp_path):
    assert access_file.load(tmp_path) == {}
    (tmp_path / "vpn.toml").write_text('[[plans]]\nid = "vpn_30"\ndays = 30\n')

    with pytest.raises(ConfigurationError, match="price_credits"):
        access_file.load(tmp_path)
