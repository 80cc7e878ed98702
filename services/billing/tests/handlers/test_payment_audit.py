"""The audit over outside money: honest books are healthy, and each kind of tampering is seen."""

import pytest

from billing.adapters.audit import CHECKS, audit
from billing.adapters.postgres_payments import SQL


@pytest.fixture
async def busy(cashier):
    """Books with something of everything in them."""
    await cashier.bought()
    await cashier.bought("credits_100", 100, charge_id="charge-2")
    await cashier.refund("charge-2")
    await cashier.refunded("charge-2")
    await cashier.bought("credits_100", 100, charge_id="charge-3")
    await cashier.refund("charge-3")
    await cashier.refunded("charge-3", code="refused")
    vip = await cashier.invoice("vip_30", 250)
    await cashier.pay(vip, "vip", recurring=True, first_recurring=True)
    held = await cashier.invoice()
    await cashier.pay(held, "held", amount_minor=1)
    wrong = await cashier.invoice()
    await cashier.pay(wrong, "wrong", amount_minor=1)
    await cashier.resolve("wrong", 5)
    await cashier.refund("held")
    await cashier.buy()
    await cashier.adjust(40)
    await cashier.adjust(-400)
    await cashier.bought("credits_1000", 850, charge_id="charge-4")
    await cashier.refund("charge-4")
    return cashier


async def broken(cashier):
    async with cashier.desk.database.read() as connection:
        report = await audit(connection)
    return {check.name for check in report.checks if check.broken_by}


async def test_honest_books_are_healthy(busy):
    assert await broken(busy) == set()
    assert (await busy.account()).debt > 0


TAMPERED = {
    "DELETE FROM grants WHERE grant_key = 'bonus:stars:charge-1'": {
        "each grant credited once",
        "each charge = its grants",
    },
    "DELETE FROM charges WHERE charge_id = 'charge-1'": {
        "each charge = its grants",
        "paid exactly if charged",
    },
    "UPDATE charges SET lot = NULL WHERE charge_id = 'wrong'": {
        "each charge = its grants",
        "paid exactly if charged",
    },
    "UPDATE charges SET credits = credits + 1 WHERE charge_id = 'charge-1'": {
        "each charge = its grants"
    },
    "UPDATE payments SET state = 'expired' WHERE state = 'paid' AND product = 'plan'": {
        "paid exactly if charged"
    },
    "UPDATE charges SET taken = '[]' WHERE charge_id = 'charge-2'": {"taken back = refunds"},
    "UPDATE charges SET state = 'refunded' WHERE charge_id = 'charge-1'": {"taken back = refunds"},
    "UPDATE charges SET debt_credits = debt_credits + 1 WHERE charge_id = 'charge-4'": {
        "taken back = refunds"
    },
    "UPDATE adjustments SET credits = 41 WHERE credits = 40": {"adjustments, plans = transfers"},
    "UPDATE plan_purchases SET charged_credits = 1": {"adjustments, plans = transfers"},
}


@pytest.mark.parametrize("statement", TAMPERED)
async def test_the_audit_sees_who_touched_what(busy, statement):
    async with busy.desk.database.read() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        assert await connection.execute(statement) not in ("UPDATE 0", "DELETE 0")

    assert await broken(busy) == TAMPERED[statement]


@pytest.mark.parametrize("name", SQL)
async def test_every_query_is_accepted_by_the_schema(database, name):
    async with database.read() as connection:
        await connection.prepare(SQL[name])


def test_every_check_has_its_query():
    assert {"audit_charges", "audit_payments", "audit_refunds", "audit_by_hand"} <= set(
        CHECKS.values()
    )
