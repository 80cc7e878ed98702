"""What operators give from the command line: credits, tiers, and a decision about held money."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from devstack.cashier import billing_row, heard, invoice_of, told, vitrine
from devstack.customer import Customer
from devstack.stage import Stage

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]

NOTHING_CHANGED = "nothing was changed; it would:"


async def test_a_key_grants_once_and_no_key_grants_again(steady: Stage, customer: Customer) -> None:
    user_id = customer.chat.user_id
    grant = ("grant", user_id, 50, "--reason", "a slow night", "--key", f"night:{user_id}")

    tried = await vitrine(steady, *grant, "--dry-run")
    untouched = await steady.account(user_id)
    done = await vitrine(steady, *grant)
    told_so = await heard(customer, "You received 50 credits")
    again = await vitrine(steady, *grant)
    nameless = [
        await vitrine(steady, "grant", user_id, 1, "--reason", "a cup of tea") for _ in range(2)
    ]
    story = await vitrine(steady, "find", f"night:{user_id}")

    assert (tried[0], untouched.available) == (0, 20), tried[1]
    assert NOTHING_CHANGED in tried[1]
    assert again == (1, "refused: already_granted\n")
    assert [code for code, _ in (done, *nameless)] == [0, 0, 0], (done, nameless)
    assert done[1].startswith("credits granted: ")
    assert "50" in told_so.text
    assert "alice tried to grant credits, nothing was done" in story[1]
    assert re.search(r"grant bonus: .*actor alice, reason a slow night, credits 50", story[1])
    assert (await steady.account(user_id)).available == 20 + 50 + 1 + 1


async def test_granted_credits_are_a_bonus_unless_said_and_end_when_said(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id

    plain = await vitrine(steady, "grant", user_id, 10, "--reason", "sorry")
    paid = await vitrine(
        steady, "grant", user_id, 11, "--reason", "a bill", "--lot", "paid", "--days", 3
    )

    rows = await steady.fetch(
        "SELECT granted, kind, expires_at FROM billing.lots WHERE user_id = $1 AND granted <> 20 "
        "ORDER BY granted",
        user_id,
    )
    in_three_days = datetime.now(UTC) + timedelta(days=3)
    assert (plain[0], paid[0]) == (0, 0), (plain[1], paid[1])
    assert [(row["granted"], row["kind"]) for row in rows] == [(10, "bonus"), (11, "paid")]
    assert rows[0]["expires_at"] is None
    assert abs(rows[1]["expires_at"] - in_three_days) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("grant", "7", "5"), "--reason"),
        (("grant", "7", "5", "--reason", " "), "say why, in words"),
        (("grant", "7", "five", "--reason", "r"), "invalid int value: 'five'"),
        (("grant", "7", "5", "--reason", "r", "--lot", "trial"), "invalid choice: 'trial'"),
        (("set-tier", "7", "gold", "--reason", "r"), "invalid choice: 'gold'"),
        (("set-tier", "7", "vip"), "--reason"),
    ],
)
async def test_what_makes_no_sense_is_not_even_sent(
    steady: Stage, arguments: tuple[str, ...], complaint: str
) -> None:
    code, said = await vitrine(steady, *arguments)

    assert code == 2
    assert complaint in said


async def test_what_billing_refuses_is_said_with_its_reason(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id

    nothing = await vitrine(steady, "grant", user_id, 0, "--reason", "r")
    nobody = await vitrine(steady, "grant", 1, 5, "--reason", "r")
    tried = await vitrine(steady, "grant", 1, 5, "--reason", "r", "--dry-run")

    assert nothing == (1, "refused: invalid\n")
    assert nobody == (1, "refused: no_account\n")
    assert tried == (1, "it would be refused: no_account\n")
    assert (await steady.account(user_id)).available == 20


async def test_a_tier_is_given_for_days_or_by_two_people_and_taken(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    month = ("set-tier", user_id, "vip", "--reason", "a friend", "--days", 30)
    for_good = ("set-tier", user_id, "black_gold", "--reason", "a partner")

    tried = await vitrine(steady, *month, "--dry-run")
    before = await tier_of(steady, customer)
    done = await vitrine(steady, *month)
    await heard(customer, "VIP")
    vip = await tier_of(steady, customer)
    alone = await vitrine(steady, *for_good)
    herself = await vitrine(steady, "approve", user_id)
    still = await tier_of(steady, customer)
    agreed = await vitrine(steady, "approve", user_id, actor="bob")
    gold = await tier_of(steady, customer)
    taken = await vitrine(steady, "set-tier", user_id, "none", "--reason", "over")

    assert (tried[0], before) == (0, ("none", None)), tried[1]
    assert NOTHING_CHANGED in tried[1]
    assert done[0] == 0, done[1]
    assert vip[0] == "vip"
    assert abs(vip[1] - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
    assert alone[0] == 1
    assert f"vitrine approve {user_id}" in alone[1]
    assert (herself[0], still) == (1, vip), herself[1]
    assert agreed[0] == 0, agreed[1]
    assert gold == ("black_gold", None)
    assert taken[0] == 0, taken[1]
    assert (await tier_of(steady, customer))[0] == "none"


async def tier_of(stage: Stage, customer: Customer) -> tuple[str, datetime | None]:
    row = await billing_row(stage, "tier, tier_until", "accounts", customer)
    return row["tier"], row["tier_until"]


async def test_held_money_is_listed_until_somebody_decides(
    steady: Stage, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    await invoice_of(customer, "Crypto Pay", "Pay 1.99")
    payment = await billing_row(steady, "provider_ref, payment_id", "payments", customer)
    invoices = f"{steady.urls['crypto_pay']}/control/invoices"
    await told(steady, f"{invoices}/{payment['provider_ref']}/pay", {"amount": "1.50"})
    await heard(customer, "it does not match its invoice")
    charge = await billing_row(steady, "charge_id", "charges", customer)
    decision = ("review", "crypto_pay", charge["charge_id"], user_id, 0)

    listed = await vitrine(steady, "review")
    half = await vitrine(steady, "review", "crypto_pay", charge["charge_id"])
    wordless = await vitrine(steady, *decision)
    unknown = await vitrine(steady, "review", "crypto_pay", "x", user_id, 5, "--reason", "r")
    decided = await vitrine(steady, *decision, "--reason", "it went back by hand")
    over = await vitrine(steady, "review")

    line = next(each for each in listed[1].splitlines() if charge["charge_id"] in each)
    assert listed[0] == 0
    assert "1.50" in line
    assert "wrong_amount" in line
    assert str(user_id) in line
    assert str(payment["payment_id"]) in line
    needed = "review: provider, charge, user, credits and --reason; or nothing\n"
    assert half == wordless == (1, needed)
    assert unknown[0] == 1
    assert unknown[1].startswith("refused: "), unknown[1]
    assert decided[0] == 0, decided[1]
    name, _, event = decided[1].partition(": ")
    assert (name, json.loads(event)["charge_id"]) == ("review resolved", charge["charge_id"])
    assert over[0] == 0
    assert charge["charge_id"] not in over[1]
    assert (await steady.account(user_id)).available == 20
