"""The operator's command line on the running platform: find, refund, adjust, decide, cancel."""

import re

import pytest

from devstack.cashier import billing_row, heard, invoice_of, told, vitrine
from devstack.customer import PRODUCT_SCENE, Customer, button_of
from devstack.stage import Stage

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]

NOTHING_CHANGED = "nothing was changed; it would:"
LONG = {"time_scale": 1.0, "job_seconds": 30.0}


async def test_a_payments_story_is_told_under_each_of_its_ids_and_it_goes_back_once(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    invoice = await invoice_of(customer, "Telegram Stars", "Pay ⭐️100")
    person = f"{steady.urls['telegram_control']}/users/{user_id}"
    await told(steady, f"{person}/pay", {"message_id": invoice.id})
    await heard(customer, "+100 credits")
    charge = await billing_row(steady, "charge_id, payment_id", "charges", customer)
    charge_id, payment_id = charge["charge_id"], charge["payment_id"]

    by_charge = await vitrine(steady, "find", charge_id)
    by_payment = await vitrine(steady, "find", payment_id)
    by_user = await vitrine(steady, "find", user_id)
    refund = ("refund", "stars", charge_id, user_id, "--reason", "a wrong tap")
    paid = await steady.account(user_id)
    tried = await vitrine(steady, *refund, "--dry-run")
    untouched = await steady.account(user_id)
    done = await vitrine(steady, *refund)
    await heard(customer, "⭐ 100 went back to you")
    again = await vitrine(steady, *refund)
    story = await vitrine(steady, "find", charge_id)

    for code, said in (by_charge, by_payment):
        assert code == 0, said
        assert "paid at stars: 100 XTR for credits_100" in said
        assert f"money came from stars: 100 XTR from user {user_id}" in said
        assert f"credited by grant credit:stars:{charge_id}: 100 credits" in said
    assert "account opened; now 120 credits" in by_user[1]
    assert charge_id in by_user[1]
    assert tried[0] == 0, tried[1]
    assert NOTHING_CHANGED in tried[1]
    assert "say gateway.cmd.refund_stars.v1" in tried[1]
    assert untouched == paid
    assert done[0] == 0, done[1]
    assert again == (1, "refused: already_refunded\n")
    assert "alice tried to refund charge, nothing was done: would be done" in story[1]
    assert "alice asked for a refund: a wrong tap: done" in story[1]
    assert "money given back: a wrong tap; 100 credits taken back" in story[1]
    assert (await steady.account(user_id)).available == 20


async def test_so_much_by_hand_needs_a_second_person(steady: Stage, customer: Customer) -> None:
    user_id = customer.chat.user_id
    adjust = ("adjust", user_id, 2000, "--reason", "a lost prize")
    tried = await vitrine(steady, *adjust, "--dry-run")
    alone = await vitrine(steady, *adjust)
    found = re.search(r"vitrine approve (\S+)", alone[1])
    assert found, alone[1]
    adjustment_id = found[1]
    herself = await vitrine(steady, "approve", adjustment_id)
    second_tried = await vitrine(steady, "approve", adjustment_id, "--dry-run", actor="bob")
    before = await steady.account(user_id)
    second = await vitrine(steady, "approve", adjustment_id, actor="bob")
    up = await heard(customer, "Your balance was corrected: +2,000 credits")
    small = await vitrine(steady, "adjust", "--reason", "counted twice", "--", user_id, -5)
    down = await heard(customer, "Your balance was corrected: −5 credits")
    story = await vitrine(steady, "find", adjustment_id)

    assert tried == (1, "it would be refused: needs_second_person\n")
    assert alone[0] == 1
    assert herself[0] == 1
    assert "needs a second person" in herself[1]
    assert second_tried[0] == 0, second_tried[1]
    assert NOTHING_CHANGED in second_tried[1]
    assert (before.available, second[0], small[0]) == (20, 0, 0)
    assert "Reason: a lost prize" in up.text
    assert "Reason: counted twice" in down.text
    assert "alice asked to adjust by 2000 credits: a lost prize" in story[1]
    assert "needs_second_person" in story[1]
    assert "alice adjusted by 2000 credits: a lost prize (agreed: bob)" in story[1]
    assert (await steady.account(user_id)).available == 20 + 2000 - 5


async def test_money_that_does_not_match_waits_for_a_person(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    await invoice_of(customer, "Crypto Pay", "Pay 1.99")
    payment = await billing_row(steady, "provider_ref", "payments", customer)
    invoices = f"{steady.urls['crypto_pay']}/control/invoices"
    await told(steady, f"{invoices}/{payment['provider_ref']}/pay", {"amount": "1.00"})
    held = await heard(customer, "it does not match its invoice")
    charge = await billing_row(steady, "charge_id, state", "charges", customer)
    charge_id = charge["charge_id"]
    review = ("review", "crypto_pay", charge_id, user_id, 50, "--reason", "half of it came")

    before = await vitrine(steady, "find", charge_id)
    tried = await vitrine(steady, *review, "--dry-run")
    untouched = await steady.account(user_id)
    done = await vitrine(steady, *review)
    await heard(customer, "+50 credits")
    again = await vitrine(steady, *review)

    assert charge_id in held.text
    assert "held for a person to decide: wrong_amount" in before[1]
    assert NOTHING_CHANGED in tried[1]
    assert untouched.available == 20
    assert done[0] == 0, done[1]
    assert again == (1, "refused: already_finished\n")
    assert (await steady.account(user_id)).available == 70


async def test_an_order_is_cancelled_for_its_owner(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    user_id = customer.chat.user_id
    await steady.comfyui("time_scale", LONG)
    quote = await customer.order(coffee, PRODUCT_SCENE)
    await customer.status(quote, "in the works")

    tried = await vitrine(steady, "cancel", quote.order_id, user_id, "--dry-run")
    running = await vitrine(steady, "find", quote.order_id)
    held = await steady.account(user_id)
    done = await vitrine(steady, "cancel", quote.order_id, user_id)
    await customer.status(quote, "cancelled")
    story = await vitrine(steady, "find", quote.order_id)

    assert NOTHING_CHANGED in tried[1], tried
    assert "10 credits are held until" in running[1]
    assert "a cancel was asked for" not in running[1]
    assert (held.available, held.held) == (10, 10)
    assert done[0] == 0, done[1]
    assert "order refunded, nobody was charged" in story[1]
    assert "10 credits were held, and returned" in story[1]
    assert (await steady.account(user_id)).available == 20


async def test_a_completed_order_is_given_back_in_parts_and_never_beyond_its_price(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    user_id = customer.chat.user_id
    quote = await customer.order(coffee, PRODUCT_SCENE)
    await customer.result(quote)
    refund = ("refund-order", quote.order_id, user_id, "--reason", "the wrong cup")

    tried = await vitrine(steady, *refund, "--dry-run")
    untouched = await steady.account(user_id)
    part = await vitrine(steady, *refund, "--credits", 4)
    said = await heard(customer, "4 credits of your order")
    rest = await vitrine(steady, *refund)
    await heard(customer, "6 credits of your order")
    again = await vitrine(steady, *refund)
    story = await vitrine(steady, "find", quote.order_id)
    history = await customer.ask("/history")

    assert NOTHING_CHANGED in tried[1], tried
    assert untouched.available == 10
    assert (part[0], rest[0]) == (0, 0), (part[1], rest[1])
    assert "Still charged for it: 6 credits" in said.text
    assert "Reason: the wrong cup" in said.text
    assert again == (1, "refused: already_refunded\n")
    assert "alice gave 4 credits of it back" in story[1]
    assert "tried to refund order, nothing was done: would be done" in story[1]
    assert "given back by the shop" in history.text
    assert (await steady.account(user_id)).available == 20


async def test_access_is_explained_and_goes_back_with_its_price(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    await vitrine(steady, "adjust", user_id, 200, "--reason", "a test")
    await heard(customer, "+200 credits")
    await buy_month(customer)
    order_id = (await billing_row(steady, "order_id", "orders", customer))["order_id"]
    grant = await billing_row(steady, "subscription_id", "access_grants", customer)

    by_order = await vitrine(steady, "find", order_id)
    by_subscription = await vitrine(steady, "find", grant["subscription_id"])
    done = await vitrine(
        steady, "refund-order", order_id, user_id, "--reason", "it never connected"
    )
    await heard(customer, "The payment for your VPN went back")
    story = await vitrine(steady, "find", order_id)

    for code, said in (by_order, by_subscription):
        assert code == 0, said
        assert "VPN access vpn_30 ordered at 150 credits" in said
        assert "vpn gave the access: it runs until" in said
        assert "VPN access was given and charged: 150 credits" in said
        assert f"VPN access of {user_id}: active until" in said
    assert done[0] == 0, done[1]
    assert "alice gave 150 credits of it back" in story[1]
    assert "vpn was told to take the access back" in story[1]
    assert f"VPN access of {user_id}: suspended" in story[1]
    assert (await steady.account(user_id)).available == 220


async def buy_month(customer: Customer) -> None:
    after = await customer.newest()
    page = await customer.ask("/vpn")
    await customer.chat.press(page, button_of(page, "va:1:vpn_30"))
    priced = await customer.chat.wait_for(
        lambda said: said.button("pw:1:") is not None, "its price", after=after
    )
    await customer.chat.press(priced, button_of(priced, "pw:1:"))
    await heard(customer, "Your VPN works until")


async def test_a_promo_code_is_made_tried_and_found(steady: Stage, customer: Customer) -> None:
    code = f"SPRING{customer.chat.user_id}"
    promo = ("promo", code.lower(), "--kind", "discount", "--value", 30, "--uses-max", 1)

    tried = await vitrine(steady, *promo, "--dry-run")
    unknown = await vitrine(steady, "find", code)
    wrong = await vitrine(steady, "promo", code, "--kind", "discount", "--value", 101)
    made = await vitrine(steady, *promo, "--ends", "2126-01-01")
    await customer.chat.say(f"/promo {code}")
    await heard(customer, "is yours: 30% off your next order")
    story = await vitrine(steady, "find", code)
    over = await vitrine(steady, *promo, "--ends", "2020-01-01", "--starts", "2021-01-01")

    assert NOTHING_CHANGED in tried[1]
    assert "promo code for" not in unknown[1]
    assert wrong == (1, "refused: invalid\n")
    assert made[0] == 0, made[1]
    assert "promo code for 30% off by alice; used 1 times of 1" in story[1]
    assert over == (1, "refused: invalid\n")


async def test_what_nobody_knows_is_said_so(steady: Stage) -> None:
    code, said = await vitrine(steady, "find", "01939f9c-5c00-7abc-8def-0123456789ab")

    assert (code, said) == (
        1,
        "nothing is recorded under 01939f9c-5c00-7abc-8def-0123456789ab\n",
    )
