"""Money in roubles, money that is called back, statements, and what two people must agree to."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from devstack.cashier import billing_row, heard, invoice_of, press, told, vitrine
from devstack.customer import Customer
from devstack.stage import Stage

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]


async def paid_in_roubles(stage: Stage, customer: Customer) -> str:
    """Buy 100 credits; returns YooKassa's id of the payment."""
    await invoice_of(customer, "Card (YooKassa)", "Pay 199.00 RUB")
    ref = str((await billing_row(stage, "provider_ref", "payments", customer))["provider_ref"])
    await told(stage, f"{stage.urls['yookassa']}/control/payments/{ref}/pay", {})
    await heard(customer, "+100 credits")
    return ref


async def test_the_menu_offers_every_way_that_is_switched_on(
    steady: Stage, customer: Customer
) -> None:
    after = await customer.newest()
    await customer.chat.say("/topup")
    await press(customer, "100 credits", after)
    how = await press(customer, "Card (YooKassa)", after)

    ways = " ".join(button.text for button in how.buttons)
    assert "Telegram Stars" in ways
    assert "Crypto Pay" in ways
    assert "199.00 RUB" in ways
    await press(customer, "Pay 199.00 RUB", after)
    payment = await billing_row(steady, "pay_url", "payments", customer)
    async with steady.session.get(payment["pay_url"]) as answer:
        assert (answer.status, "199.00" in await answer.text()) == (200, True)


async def test_roubles_are_credited_and_called_back(steady: Stage, customer: Customer) -> None:
    ref = await paid_in_roubles(steady, customer)
    assert (await steady.account(customer.chat.user_id)).available == 120

    await told(steady, f"{steady.urls['yookassa']}/control/payments/{ref}/charge-back", {})

    said = await heard(customer, "The payment of 199.00 RUB was called back")
    assert "Taken back for it: 100 credits" in said.text
    assert (await steady.account(customer.chat.user_id)).available == 20
    story = await vitrine(steady, "find", ref)
    assert "money charged back by the payer; 100 credits taken back" in story[1]


async def test_stars_that_an_app_store_calls_back_leave_what_was_spent_as_a_debt(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    person = f"{steady.urls['telegram_control']}/users/{user_id}"
    invoice = await invoice_of(customer, "Telegram Stars", "Pay ⭐️100")
    await told(steady, f"{person}/pay", {"message_id": invoice.id})
    await heard(customer, "+100 credits")
    await vitrine(steady, "adjust", "--reason", "spent", "--", user_id, -70)
    charge_id = (await billing_row(steady, "charge_id", "charges", customer))["charge_id"]

    await told(steady, f"{person}/charges/{charge_id}/charge-back", {})

    said = await heard(customer, "The payment of ⭐ 100 was called back")
    assert "50 credits had been spent already and are owed now" in said.text
    account = await billing_row(steady, "available, debt", "accounts", customer)
    assert dict(account) == {"available": 0, "debt": 50}


async def test_a_fault_of_the_stand_in_calls_every_payment_back_at_once(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    await steady.faults({"kind": "charge_back", "chat_id": user_id, "times": 1})
    invoice = await invoice_of(customer, "Telegram Stars", "Pay ⭐️100")
    person = f"{steady.urls['telegram_control']}/users/{user_id}"

    await told(steady, f"{person}/pay", {"message_id": invoice.id})

    await heard(customer, "The payment of ⭐ 100 was called back")
    assert (await steady.account(user_id)).available == 20


async def test_an_operator_records_a_charge_back_that_came_by_letter(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    ref = await paid_in_roubles(steady, customer)
    back = ("charge-back", "yookassa", ref, user_id, "--reason", "the bank wrote")

    tried = await vitrine(steady, *back, "--dry-run")
    untouched = await steady.account(user_id)
    done = await vitrine(steady, *back)
    await heard(customer, "The payment of 199.00 RUB was called back")
    again = await vitrine(steady, *back)

    assert (tried[0], untouched.available) == (0, 120), tried[1]
    assert done[0] == 0, done[1]
    assert again == (1, "refused: already_refunded\n")
    assert (await steady.account(user_id)).available == 20


async def test_a_statement_is_compared_with_the_books(steady: Stage, customer: Customer) -> None:
    ref = await paid_in_roubles(steady, customer)
    since = datetime.now(UTC) - timedelta(days=1)
    asked = ("reconcile", "yookassa", "--since", since.isoformat())
    shown = await vitrine(steady, *asked)
    before = json.loads((await vitrine(steady, *asked, "--json"))[1])["providers"][0]

    # A payment the shop never heard of: made and paid there, by nobody's order.
    body = {
        "amount": {"value": "5.00", "currency": "RUB"},
        "capture": True,
        "confirmation": {"type": "redirect", "return_url": "https://example.org"},
    }
    control = f"{steady.urls['yookassa']}/control"
    await told(steady, f"{control}/webhook", {"enabled": False})
    async with steady.session.post(f"{control}/payments", json=body) as answer:
        strange = (await answer.json())["payment"]["id"]
    await told(steady, f"{control}/payments/{strange}/pay", {})
    code, table = await vitrine(steady, *asked)
    unknown, refused = await vitrine(steady, "reconcile", "paypal", "--since", since.isoformat())
    await told(steady, f"{control}/webhook", {"enabled": True})

    assert "asked now" in shown[1]
    assert before["matched"] >= 1
    assert ref not in {each["charge_id"] for each in before.get("differences", ())}
    assert code == 1
    line = next(each for each in table.splitlines() if strange in each)
    assert "paid there, unknown to us" in line
    assert "500 RUB" in line
    assert (unknown, refused) == (1, "billing refused the question: invalid\n")


async def test_held_money_and_grants_above_the_limit_are_agreed_to_by_two(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    await invoice_of(customer, "Card (YooKassa)", "Pay 199.00 RUB")
    ref = (await billing_row(steady, "provider_ref", "payments", customer))["provider_ref"]
    await told(steady, f"{steady.urls['yookassa']}/control/payments/{ref}/pay", {"amount": "9"})
    await heard(customer, "it does not match its invoice")
    review = ("review", "yookassa", ref, user_id, 1500, "--reason", "a rich uncle")
    grant = ("grant", str(user_id), "2000", "--reason", "a prize", "--key", f"prize:{user_id}")

    alone = await vitrine(steady, *review)
    herself = await vitrine(steady, "approve", ref)
    agreed = await vitrine(steady, "approve", ref, actor="bob")
    granted_alone = await steady.run("billing", *grant)
    before = await steady.account(user_id)
    granted = await vitrine(steady, "approve", f"prize:{user_id}", actor="bob")
    story = await vitrine(steady, "find", f"prize:{user_id}")

    assert alone[0] == 1
    assert re.search(rf"vitrine approve {ref}", alone[1]), alone[1]
    assert herself[0] == 1
    assert agreed[0] == 0, agreed[1]
    assert granted_alone[0] == 1
    assert f"vitrine approve prize:{user_id}" in granted_alone[1]
    assert (before.available, granted[0]) == (20 + 1500, 0), granted[1]
    assert (await steady.account(user_id)).available == 20 + 1500 + 2000
    assert "asked to grant 2000 credits: a prize" in story[1]
    assert "second person bob: agreed" in story[1]
