"""Stars: invoices, payments, what does not match, subscriptions, statements."""

from datetime import timedelta

import pytest

from chassis.clock import new_id
from contracts import billing, gateway, payments
from contracts.gateway import StarsTransaction

USER = 7
MONTH = timedelta(days=30)


def kinds(events):
    return [type(each).__name__ for each in events]


async def test_an_invoice_carries_a_sealed_payload_and_expires(cashier):
    created = await cashier.invoice()

    assert (created.credits, created.amount_minor, created.currency) == (330, 275, "XTR")
    assert created.expires_at == cashier.now + timedelta(hours=1)
    assert len(created.invoice_payload.encode()) <= 128
    assert (await cashier.payment(created.payment_id)).state == "pending"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"product_id": "credits_7"}, "unknown_product"),
        ({"amount": 274}, "price_changed"),
        ({"currency": "USD"}, "wrong_currency"),
        ({"provider": "crypto_pay"}, "provider_off"),
        ({"provider": "nobody"}, "provider_off"),
        ({"user_id": 9}, "no_account"),
    ],
)
async def test_an_invoice_that_cannot_be_is_told_as_failed(cashier, fields, code):
    (failed,) = await cashier.create(**fields)

    assert isinstance(failed, payments.PaymentFailed)
    assert failed.code == code


async def test_one_id_is_one_invoice(cashier):
    payment_id = new_id()
    first = await cashier.create(payment_id=payment_id)

    again = await cashier.create(payment_id=payment_id)
    other = await cashier.create("credits_100", 100, payment_id=payment_id)

    assert again == first
    assert kinds(other) == ["CommandRejected"]
    assert other[0].code == "same_id_other_body"


async def test_a_payment_is_credited_once_whatever_comes_twice(cashier):
    created = await cashier.invoice(order_id=(order_id := new_id()))

    (credited,) = await cashier.pay(created)
    again = await cashier.pay(created)

    account = await cashier.account()
    assert (credited.credits, credited.available_credits, credited.order_id) == (330, 350, order_id)
    assert (again, account.available) == ([], 350)
    assert account.trial_renews_at is None
    assert (await cashier.payment(created.payment_id)).state == "paid"
    assert await cashier.rows("SELECT grant_key, kind, credits, reason FROM grants ORDER BY 1") == [
        ("bonus:stars:charge-1", "bonus", 30, "payment_bonus"),
        ("credit:stars:charge-1", "paid", 300, "payment"),
    ]
    assert await cashier.rows("SELECT outcome FROM provider_events") == [("known",)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount_minor": 274}, "wrong_amount"),
        ({"amount_minor": 550}, "wrong_amount"),
        ({"currency": "USD"}, "wrong_currency"),
        ({"user_id": 8}, "not_yours"),
        ({"invoice_payload": "1.forged.7.275.XTR.credits_300.tag"}, "unknown_payment"),
        ({"invoice_payload": ""}, "unknown_payment"),
    ],
)
async def test_money_that_does_not_match_waits_for_a_person(cashier, fields, code):
    created = await cashier.invoice()

    (held,) = await cashier.pay(created, **fields)

    assert isinstance(held, payments.PaymentHeld)
    assert held.code == code
    assert (await cashier.charge()).state == "review"
    assert (await cashier.account()).available == 20


async def test_a_second_charge_of_a_one_off_invoice_is_held(cashier):
    created = await cashier.invoice()
    await cashier.pay(created)

    (held,) = await cashier.pay(created, "charge-2")

    assert held.code == "already_paid"
    assert (await cashier.account()).available == 350


async def test_late_money_is_credited(cashier):
    created = await cashier.invoice()
    await cashier.later(hours=1)
    (expired,) = await cashier.watch()

    (credited,) = await cashier.pay(created)

    assert (expired.code, credited.late) == ("expired", True)
    assert (await cashier.payment(created.payment_id)).state == "paid"


async def test_a_cancelled_invoice_still_takes_money(cashier):
    created = await cashier.invoice()
    (stranger,) = await cashier.cancel(created.payment_id, user_id=8)
    (failed,) = await cashier.cancel(created.payment_id)

    (credited,) = await cashier.pay(created)
    (finished,) = await cashier.cancel(created.payment_id)

    assert (stranger.code, failed.code) == ("not_yours", "cancelled")
    assert credited.late
    assert finished.code == "already_finished"


async def test_debt_is_paid_first(cashier):
    await cashier.adjust(-120)

    credited = await cashier.bought("credits_100", 100)

    assert (credited.debt_paid_credits, credited.available_credits) == (100, 0)
    assert (await cashier.account()).debt == 0


async def test_pre_checkout_judges_as_the_payment_will_be(cashier):
    created = await cashier.invoice()

    assert await cashier.pre_checkout(created) == ""
    assert await cashier.pre_checkout(created, user_id=8) == "not_yours"
    assert await cashier.pre_checkout(created, total_amount=1) == "wrong_amount"
    assert await cashier.pre_checkout(created, currency="USD") == "wrong_currency"
    assert await cashier.pre_checkout(created, invoice_payload="x") == "unknown_payment"
    await cashier.cancel(created.payment_id)
    assert await cashier.pre_checkout(created) == "cancelled"


async def test_pre_checkout_refuses_what_is_paid_or_over(cashier):
    paid, over = await cashier.invoice(), await cashier.invoice()
    await cashier.pay(paid)

    assert await cashier.pre_checkout(paid) == "already_paid"
    await cashier.later(hours=1)
    assert await cashier.pre_checkout(over) == "expired"


# --- subscriptions -----------------------------------------------------------------------------


async def subscribed(cashier, plan=("vip_30", 250), charge_id="first"):
    created = await cashier.invoice(*plan)
    until = cashier.now + MONTH
    events = await cashier.pay(
        created, charge_id, recurring=True, first_recurring=True, subscription_until=until
    )
    return created, events


async def test_a_subscription_gives_its_tier_and_renewals_prolong_it(cashier):
    started = cashier.now
    created, events = await subscribed(cashier)
    assert created.subscription_days == 30
    assert kinds(events) == ["TierSet", "SubscriptionChanged", "PaymentCredited"]
    assert (events[2].tier, events[2].until) == ("vip", started + MONTH)

    await cashier.later(days=30, minutes=-5)
    until = started + 2 * MONTH
    renewed = await cashier.pay(created, "second", recurring=True, subscription_until=until)

    assert kinds(renewed) == ["TierSet", "SubscriptionChanged", "PaymentCredited"]
    assert renewed[1].charge_id == "first"
    assert (renewed[1].until, renewed[2].until) == (until, until)
    assert (await cashier.account()).tier_until == until


async def test_a_subscription_that_runs_is_not_sold_again(cashier):
    created = await cashier.invoice("vip_30", 250)
    other = await cashier.invoice("vip_30", 250)
    await cashier.pay(created, first_recurring=True, recurring=True)

    (failed,) = await cashier.create("vip_30", 250)

    assert failed.code == "already_subscribed"
    assert await cashier.pre_checkout(other) == "already_subscribed"


async def test_a_lower_plan_is_refused_but_its_money_is_not_lost(cashier):
    lower = await cashier.invoice("vip_30", 250)
    await subscribed(cashier, ("black_gold_30", 750))
    (failed,) = await cashier.create("vip_30", 250)

    events = await cashier.pay(lower, "lower", first_recurring=True, recurring=True)

    assert failed.code == "higher_tier_active"
    assert await cashier.pre_checkout(lower) == "already_subscribed"
    assert events[-1].until == cashier.now + MONTH + MONTH / 3
    assert (await cashier.account()).tier == "black_gold"


async def test_renewals_are_stopped_and_resumed_by_telegrams_word(cashier):
    await subscribed(cashier)

    (ask,) = await cashier.change("first", cancelled=True)
    (stopped,) = await cashier.edited("first", cancelled=True)
    (refused,) = await cashier.edited("first", cancelled=False, code="SUBSCRIPTION_NOT_ACTIVE")
    (resumed,) = await cashier.edited("first", cancelled=False)
    (stranger,) = await cashier.change("first", cancelled=True, user_id=8)
    (unknown,) = await cashier.change("other", cancelled=True)

    assert ask == gateway.EditStarsSubscription(user_id=USER, charge_id="first", cancelled=True)
    states = [stopped.state, refused.state, resumed.state]
    assert states == ["cancelled", "cancelled", "active"]
    assert (stranger.code, unknown.code) == ("not_yours", "unknown_payment")
    await cashier.later(days=31)
    (over,) = await cashier.change("first", cancelled=True)
    assert over.code == "already_finished"


async def test_a_renewals_refund_takes_its_days_back_and_stops_the_next(cashier):
    started = cashier.now
    created, _ = await subscribed(cashier)
    await cashier.later(days=30, minutes=-5)
    await cashier.pay(created, "second", recurring=True, subscription_until=started + 2 * MONTH)

    events = await cashier.refund("second")
    (told,) = await cashier.refunded("second")

    assert kinds(events) == ["TierSet", "EditStarsSubscription", "RefundStars"]
    assert (await cashier.account()).tier_until == started + MONTH
    assert (told.charge_id, told.taken_credits) == ("second", 0)


async def test_a_tier_without_end_cannot_be_prolonged(cashier):
    created = await cashier.invoice("vip_30", 250)
    command = billing.SetTier(user_id=USER, tier="vip", reason="friend", actor="op")
    from billing.handlers.set_tier import set_tiers

    await cashier.desk.batch(set_tiers, command, books=cashier.desk.books)

    assert await cashier.pre_checkout(created) == "tier_without_end"
    (held,) = await cashier.pay(created, recurring=True, first_recurring=True)
    assert held.code == "tier_without_end"


# --- the statement -----------------------------------------------------------------------------


def line(cashier, created, charge_id="charge-1", amount=None, **fields):
    values = {"user_id": USER, "invoice_payload": created.invoice_payload, **fields}
    return StarsTransaction(
        charge_id=charge_id,
        amount_minor=created.amount_minor if amount is None else amount,
        at=cashier.now,
        **values,
    )


async def test_what_the_chat_did_not_tell_the_statement_does(cashier):
    created = await cashier.invoice()
    told = line(cashier, created)
    withdrawal = line(cashier, created, "out", -10_000, user_id=None, invoice_payload="")
    reaction = line(cashier, created, "star", 1, invoice_payload="")
    await cashier.later(minutes=11)

    events = await cashier.statement(told, withdrawal, reaction)
    again = await cashier.statement(told, withdrawal, reaction)
    late = await cashier.pay(created)

    assert kinds(events) == ["PaymentCredited", "ProviderAlarmed"]
    assert events[1].code == "statement_differs"
    assert (again, late) == ([], [])
    assert (await cashier.account()).available == 350


async def test_the_statement_tells_refunds_too(cashier):
    created = await cashier.invoice()
    lines = line(cashier, created), line(cashier, created, amount=-275)

    events = await cashier.statement(*lines)

    assert kinds(events) == ["PaymentCredited", "ChargeRefunded", "ProviderAlarmed"]
    assert (await cashier.account()).available == 20
    assert await cashier.statement(*lines) == []


async def test_a_refund_that_overtakes_its_payment_is_not_forgotten(cashier):
    created = await cashier.invoice()
    early = await cashier.refunded()

    events = await cashier.pay(created)

    assert early == []
    assert kinds(events) == ["PaymentCredited", "ChargeRefunded", "ProviderAlarmed"]
    assert (await cashier.account()).available == 20
