"""`find` says what the books hold: what was credited, when money went back, what was refused."""

import pytest

from billing.adapters.postgres_search import PostgresSearch
from chassis.clock import new_id
from contracts import operators

USER = 7


async def found(cashier, query):
    return await PostgresSearch(cashier.desk.database).find(query, 200)


def by_what(facts):
    return {fact.what: fact for fact in facts}


async def test_money_in_review_that_went_back_was_never_credited(cashier):
    created = await cashier.invoice()
    await cashier.pay(created, amount_minor=1)
    await cashier.refund()
    await cashier.refunded()

    facts = by_what(await found(cashier, "charge-1"))

    assert "charge.refunded" in facts
    assert "charge.credited" not in facts
    assert "charge.plan" not in facts


async def test_money_that_was_decided_against_was_never_credited(cashier):
    created = await cashier.invoice()
    await cashier.pay(created, amount_minor=1)
    await cashier.resolve("charge-1", 0)

    facts = by_what(await found(cashier, "charge-1"))

    assert (await cashier.charge()).state == "rejected"
    assert "charge.credited" not in facts


async def test_what_was_credited_names_the_grant_there_is(cashier):
    await cashier.bought()
    plan = await cashier.invoice("vip_30", 250)
    await cashier.pay(plan, "plan-1", recurring=True, first_recurring=True)

    pack = by_what(await found(cashier, "charge-1"))
    bought = by_what(await found(cashier, "plan-1"))

    assert pack["charge.credited"].detail["grant"] == "credit:stars:charge-1"
    assert "charge.plan" not in pack
    assert bought["charge.plan"].detail["tier"] == "vip"
    assert "charge.credited" not in bought


@pytest.mark.parametrize("query", ["charge-1", str(USER)])
async def test_money_given_back_is_told_at_its_own_time(cashier, query):
    await cashier.bought()
    await cashier.later(days=2)
    await cashier.refund()
    await cashier.refunded()

    fact = by_what(await found(cashier, query))["charge.refunded"]

    assert fact.at == cashier.now
    assert (fact.detail["reason"], fact.detail["taken"]) == ("asked", "330")


async def test_a_refused_refund_and_its_code_are_told(cashier):
    await cashier.bought()
    await cashier.later(days=2)
    await cashier.refund()
    await cashier.refunded(code="CHARGE_TOO_OLD")

    facts = by_what(await found(cashier, "charge-1"))

    refused = facts["operator.refund_refused"]
    assert refused.at == cashier.now
    assert (refused.detail["actor"], refused.detail["outcome"]) == ("stars", "CHARGE_TOO_OLD")


async def test_a_code_is_found_in_any_case(cashier):
    note = {"actor": "op", "action": "save_promo", "subject_id": "JACKPOT", "outcome": "done"}
    async with cashier.desk.begin() as uow:
        await cashier.till.records.note_action(uow.connection, **note, detail={}, now=cashier.now)

    upper, lower = await found(cashier, "JACKPOT"), await found(cashier, "jackpot")

    assert [fact.what for fact in upper] == ["operator.save_promo"]
    assert lower == upper


async def test_what_was_approved_is_said_to_be_approved(cashier):
    adjustment_id = new_id()
    (first,) = await cashier.adjust(9_000, adjustment_id)
    (done,) = await cashier.adjust(9_000, adjustment_id, approved_by="boss")

    (again,) = await cashier.adjust(9_000, adjustment_id, approved_by="boss")
    (other,) = await cashier.adjust(9_000, adjustment_id, approved_by="another")
    (alone,) = await cashier.adjust(9_000, adjustment_id)
    (different,) = await cashier.adjust(8_000, adjustment_id, approved_by="boss")

    assert first.code == "needs_second_person"
    assert isinstance(done, operators.CreditsAdjusted)
    assert {again.code, other.code, alone.code} == {"already_approved"}
    assert different.code == "same_id_other_body"
    assert (await cashier.account()).available == 9_020
