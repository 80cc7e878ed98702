"""Refunds: asked, unasked, refused; what they take back and what becomes debt."""

from datetime import timedelta

from chassis.clock import new_id
from contracts import gateway, payments
from contracts.errors import PROVIDER_FAILED

USER = 7
REFUNDED = ["ChargeRefunded"]


def kinds(events):
    return [type(each).__name__ for each in events]


async def test_a_refund_takes_what_was_bought_and_ends_with_telegrams_answer(cashier):
    await cashier.bought()

    (asked,) = await cashier.refund()
    during = await cashier.charge()
    (told,) = await cashier.refunded()
    again = await cashier.refunded()

    assert asked == gateway.RefundStars(user_id=USER, charge_id="charge-1")
    assert during.state == "refunding"
    assert (told.taken_credits, told.debt_credits, told.amount_minor) == (330, 0, 275)
    assert (again, (await cashier.account()).available) == ([], 20)
    assert (await cashier.charge()).state == "refunded"


async def test_what_is_spent_already_becomes_debt(cashier):
    await cashier.bought("credits_100", 100)
    await cashier.adjust(-100)

    await cashier.refund()
    (told,) = await cashier.refunded()

    account = await cashier.account()
    assert (told.taken_credits, told.debt_credits) == (100, 80)
    assert (account.available, account.debt) == (0, 80)


async def test_a_refused_refund_gives_everything_back(cashier):
    await cashier.bought("credits_100", 100)
    await cashier.adjust(-100)
    before = await cashier.account()
    await cashier.refund()

    (refused,) = await cashier.refunded(code="CHARGE_NOT_FOUND")

    after = await cashier.account()
    assert (refused.code, (await cashier.charge()).state) == ("CHARGE_NOT_FOUND", "paid")
    assert (after.available, after.debt) == (before.available, before.debt) == (20, 0)
    assert {n: lot.remaining for n, lot in after.lots.items()} == {
        n: lot.remaining for n, lot in before.lots.items()
    }


async def test_a_debt_that_was_paid_meanwhile_comes_back_as_credits(cashier):
    await cashier.bought("credits_100", 100)
    await cashier.adjust(-120)
    await cashier.refund()
    await cashier.bought("credits_300", 275, charge_id="charge-2")

    await cashier.refunded(code="refused")

    account = await cashier.account()
    assert (account.available, account.debt) == (330, 0)


async def test_a_refused_refund_may_be_asked_for_again(cashier):
    await cashier.bought()
    await cashier.refund()
    await cashier.refunded(code="refused")

    events = await cashier.refund()
    (told,) = await cashier.refunded()

    assert kinds(events) == ["RefundStars"]
    assert told.taken_credits == 330


async def test_a_refund_telegram_was_asked_for_in_vain_is_not_guessed_at(cashier):
    await cashier.bought()
    await cashier.refund()

    (alarm,) = await cashier.refunded(code=PROVIDER_FAILED)

    assert (alarm.provider, alarm.code) == ("stars", "provider_failed")
    assert "charge-1" in alarm.detail
    assert (await cashier.charge()).state == "refunding"
    assert (await cashier.account()).available == 20, "nothing is given again"


async def test_an_unclear_refund_is_driven_again_every_day_until_there_is_an_answer(cashier):
    await cashier.bought()
    await cashier.watch()
    await cashier.refund()
    await cashier.refunded(code=PROVIDER_FAILED)

    soon = await cashier.watch()
    await cashier.later(days=1)
    (asked,) = await cashier.watch()
    meanwhile = await cashier.watch()
    (told,) = await cashier.refunded()

    assert (soon, meanwhile) == ([], [])
    assert asked == gateway.RefundStars(user_id=USER, charge_id="charge-1")
    assert (told.taken_credits, told.charged_back) == (330, False)
    assert (await cashier.charge()).state == "refunded"


async def test_an_unclear_refund_that_telegram_refuses_at_last_gives_the_credits_again(cashier):
    await cashier.bought()
    await cashier.refund()
    await cashier.refunded(code=PROVIDER_FAILED)

    (asked,) = await cashier.refund()
    (refused,) = await cashier.refunded(code="charge_not_found")

    assert (kinds([asked]), refused.code) == (["RefundStars"], "charge_not_found")
    assert (await cashier.account()).available == 350


async def test_a_statement_ends_an_unclear_refund(cashier):
    await cashier.bought()
    await cashier.refund()
    await cashier.refunded(code=PROVIDER_FAILED)

    line = gateway.StarsTransaction(
        charge_id="charge-1", amount_minor=-275, at=cashier.now, user_id=USER, invoice_payload="x"
    )
    told = next(each for each in await cashier.statement(line) if kinds([each]) == REFUNDED)

    assert (told.taken_credits, told.charged_back) == (330, False)
    assert (await cashier.charge()).state == "refunded"


async def test_money_in_review_is_given_back_and_nothing_taken(cashier):
    created = await cashier.invoice()
    await cashier.pay(created, amount_minor=1)

    (asked,) = await cashier.refund()
    (told,) = await cashier.refunded()

    assert isinstance(asked, gateway.RefundStars)
    assert (told.taken_credits, (await cashier.account()).available) == (0, 20)


async def test_a_refused_refund_of_money_in_review_leaves_it_there(cashier):
    created = await cashier.invoice()
    await cashier.pay(created, amount_minor=1)
    await cashier.refund()

    await cashier.refunded(code="refused")

    assert (await cashier.charge()).state == "review"


async def test_refunds_that_make_no_sense_are_rejected_and_noted(cashier):
    await cashier.bought()

    (unknown,) = await cashier.refund("other")
    (stranger,) = await cashier.refund(user_id=8)
    await cashier.refund()
    again = await cashier.refund()

    assert (unknown.code, stranger.code, again) == ("unknown_payment", "not_yours", [])
    assert await cashier.rows("SELECT actor, action, outcome FROM operator_actions ORDER BY 3") == [
        ("op", "refund_charge", "done"),
        ("op", "refund_charge", "not_yours"),
        ("op", "refund_charge", "unknown_payment"),
    ]


async def test_a_plans_refund_gives_back_the_tier_it_replaced(cashier):
    vip = await cashier.invoice("vip_30", 250)
    await cashier.pay(vip, "vip", recurring=True, first_recurring=True)
    await cashier.later(days=10)
    gold = await cashier.invoice("black_gold_30", 750)
    await cashier.pay(gold, "gold", recurring=True, first_recurring=True)
    upgraded = await cashier.account()
    until = cashier.now + timedelta(days=20) / 3 + timedelta(days=30)
    assert (upgraded.tier, upgraded.tier_until) == ("black_gold", until)

    await cashier.refund("gold")

    account = await cashier.account()
    assert (account.tier, account.tier_until) == ("vip", cashier.now + timedelta(days=20))
    await cashier.refunded("gold", code="refused")
    account = await cashier.account()
    assert (account.tier, account.tier_until) == ("black_gold", until)


async def test_only_days_not_used_yet_are_taken(cashier):
    vip = await cashier.invoice("vip_30", 250)
    await cashier.pay(vip, recurring=True, first_recurring=True)
    await cashier.later(days=12)

    await cashier.refund()

    assert (await cashier.account()).tier == "none"
    assert (await cashier.charge()).taken_seconds == 18 * 86_400


# --- by hand -----------------------------------------------------------------------------------


async def test_an_operator_credits_what_was_in_review(cashier):
    created = await cashier.invoice()
    await cashier.pay(created, amount_minor=200)

    credited, resolved = await cashier.resolve("charge-1", 240)
    (again,) = await cashier.resolve("charge-1", 240)

    assert isinstance(credited, payments.PaymentCredited)
    assert (credited.credits, (await cashier.account()).available) == (240, 260)
    assert (resolved.credits, again.code) == (240, "already_finished")
    charge = await cashier.charge()
    assert (charge.state, charge.actor) == ("paid", "op")
    assert (await cashier.payment(created.payment_id)).state == "paid"


async def test_money_of_no_invoice_is_credited_to_whom_the_operator_says(cashier):
    created = await cashier.invoice()
    await cashier.pay(created, invoice_payload="lost")

    granted, _ = await cashier.resolve("charge-1", 50)

    assert granted.grant_key == "credit:stars:charge-1"
    assert (await cashier.account()).available == 70
    await cashier.refund()
    assert (await cashier.account()).available == 20


async def test_rejected_money_can_still_be_given_back(cashier):
    created = await cashier.invoice()
    await cashier.pay(created, amount_minor=200)

    (nothing,) = await cashier.resolve("charge-1", 0)
    events = await cashier.refund()

    assert (nothing.credits, kinds(events)) == (0, ["RefundStars"])
    assert (await cashier.account()).available == 20


async def test_adjustments_above_the_limit_need_a_second_person(cashier):
    asked = new_id()
    (alone,) = await cashier.adjust(1_001, asked)
    (same,) = await cashier.adjust(1_001, asked, approved_by="op")
    (unasked,) = await cashier.adjust(1_001, approved_by="other")
    (more,) = await cashier.adjust(1_002, asked, approved_by="other")
    (done,) = await cashier.adjust(1_001, asked, approved_by="other")
    (small,) = await cashier.adjust(1_000)

    assert (alone.code, same.code) == ("needs_second_person",) * 2
    assert (unasked.code, more.code) == ("invalid",) * 2
    assert (done.credits, done.debt_credits, small.credits) == (1_001, 0, 1_000)
    assert (await cashier.account()).available == 2_021
    outcomes = await cashier.rows("SELECT outcome FROM operator_actions ORDER BY number")
    assert outcomes == [("needs_second_person",)] * 2 + [("invalid",)] * 2 + [("done",)] * 2


async def test_an_adjustment_happens_once_and_goes_down_to_debt(cashier):
    adjustment_id = new_id()
    (done,) = await cashier.adjust(-50, adjustment_id)
    again = await cashier.adjust(-50, adjustment_id)
    (other,) = await cashier.adjust(-51, adjustment_id)

    account = await cashier.account()
    assert (done.debt_credits, again, other.code) == (30, [], "same_id_other_body")
    assert (account.available, account.debt) == (0, 30)


async def test_a_senseless_adjustment_is_refused(cashier):
    (nothing,) = await cashier.adjust(0)
    (nobody,) = await cashier.adjust(5, user_id=99)
    (no_reason,) = await cashier.adjust(5, reason="")

    assert (nothing.code, nobody.code, no_reason.code) == ("invalid", "no_account", "invalid")
