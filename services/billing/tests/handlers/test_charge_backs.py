"""Money that goes back without our asking: what it bought is taken, the rest is owed."""

import pytest

from billing.adapters.audit import PostgresAuditor
from billing.handlers import record_charge_back
from contracts import gateway, operators

USER = 7


def by_name(events):
    return {type(each).__name__: each for each in events}


def line(cashier, charge_id="charge-1", amount=-275):
    return gateway.StarsTransaction(
        charge_id=charge_id, amount_minor=amount, at=cashier.now, user_id=USER, invoice_payload="x"
    )


async def told(cashier, **fields):
    values = {"provider": "stars", "charge_id": "charge-1", "user_id": USER, **fields}
    command = operators.RecordChargeBack(**{"reason": "a letter", "actor": "op", **values})

    async def rejected(uow, each, error):
        await record_charge_back.not_recorded(uow, each, error, till=cashier.till)

    return await cashier.run(
        record_charge_back.record_charge_back, command, rejected=rejected, till=cashier.till
    )


@pytest.fixture
async def audited(cashier):
    yield cashier
    report = await PostgresAuditor(cashier.desk.database).audit()
    assert report.healthy, "\n".join(report.lines())


async def test_a_refund_nobody_asked_for_is_a_charge_back(audited):
    await audited.bought()

    events = by_name(await audited.refunded())
    again = await audited.refunded()
    (rejected,) = await audited.refund()

    back, alarm = events["ChargeRefunded"], events["ProviderAlarmed"]
    assert (back.charged_back, back.taken_credits, back.debt_credits) == (True, 330, 0)
    assert (alarm.provider, alarm.code) == ("stars", "charged_back")
    assert alarm.detail == "charge-1: 330 credits taken back, 0 of them owed"
    assert (again, rejected.code) == ([], "already_refunded")
    assert (await audited.charge()).state == "charged_back"
    assert (await audited.account()).available == 20


async def test_a_charge_back_only_the_statement_tells_leaves_a_debt(audited):
    await audited.bought()
    await audited.adjust(-200)

    back = by_name(await audited.statement(line(audited)))["ChargeRefunded"]

    account = await audited.account()
    assert (back.charged_back, back.taken_credits, back.debt_credits) == (True, 330, 180)
    assert (account.available, account.debt) == (0, 180)
    assert await audited.statement(line(audited)) == []


async def test_a_charge_back_ends_what_was_subscribed_to(audited):
    gold = await audited.invoice("black_gold_30", 750)
    await audited.pay(gold, "charge-1", recurring=True, first_recurring=True)

    events = by_name(await audited.refunded())

    assert events["EditStarsSubscription"].cancelled
    assert events["TierSet"].tier == "none"
    assert (await audited.account()).tier == "none"


async def test_money_in_review_that_is_called_back_took_nothing(audited):
    created = await audited.invoice()
    await audited.pay(created, amount_minor=1)

    back = by_name(await audited.refunded())["ChargeRefunded"]

    assert (back.charged_back, back.taken_credits) == (True, 0)
    assert (await audited.charge()).state == "charged_back"


async def test_an_operator_records_what_came_by_letter(audited):
    await audited.bought()

    back = by_name(await told(audited))["ChargeRefunded"]
    (again,) = await told(audited)

    assert (back.charged_back, back.taken_credits) == (True, 330)
    assert again.code == "already_refunded"
    charge = await audited.charge()
    assert (charge.state, charge.reason, charge.actor) == ("charged_back", "a letter", "op")
    assert await audited.rows("SELECT action, outcome FROM operator_actions ORDER BY number") == [
        ("record_charge_back", "done"),
        ("record_charge_back", "already_refunded"),
    ]


async def test_an_operators_word_is_refused_where_it_makes_no_sense(audited):
    await audited.bought()

    (unknown,) = await told(audited, charge_id="other")
    (stranger,) = await told(audited, user_id=8)
    (no_reason,) = await told(audited, reason="")

    codes = (unknown.code, stranger.code, no_reason.code)
    assert codes == ("unknown_payment", "not_yours", "invalid")
    assert (await audited.account()).available == 350


async def test_so_much_needs_a_second_person(audited):
    await audited.bought("credits_1000", 850)

    (alone,) = await told(audited)
    (same,) = await told(audited, approved_by="op")
    (other_words,) = await told(audited, approved_by="boss", reason="another letter")
    done = await told(audited, approved_by="boss")

    assert (alone.code, same.code) == ("needs_second_person",) * 2
    assert other_words.code == "invalid"
    assert by_name(done)["ChargeRefunded"].taken_credits == 1_150
