"""Stars payments of one batch leave behind what they would have left one by one."""

import json
from datetime import timedelta
from random import Random

import pytest

from billing.adapters.audit import audit
from billing.handlers.record_stars_paid import record_stars_paid
from billing.handlers.record_stars_refund import record_stars_refund
from billing.testing import received
from contracts.gateway import StarsRefundRecorded
from contracts.payments import PaymentCredited, PaymentHeld

MONTH = timedelta(days=30)
QUERIES = """
SELECT user_id - $1::bigint, replace(charge_id, $2::text, ''), state, reason, credits, lot,
       bonus_lot, tier, late
FROM charges WHERE user_id IN ($1, $1 + 1) ORDER BY 2;
SELECT user_id - $1::bigint, number, lot, debit, credit, amount, kind, reason, $2::text
FROM transfers WHERE user_id IN ($1, $1 + 1) ORDER BY 1, 2;
SELECT user_id - $1::bigint, number, kind, granted, remaining, state, $2::text
FROM lots WHERE user_id IN ($1, $1 + 1) ORDER BY 1, 2;
SELECT user_id - $1::bigint, available, debt, tier, tier_version, trial_renews_at IS NULL, $2::text
FROM accounts WHERE user_id IN ($1, $1 + 1) ORDER BY 1;
SELECT user_id - $1::bigint, replace(grant_key, $2::text, ''), lot, kind, credits, actor
FROM grants WHERE user_id IN ($1, $1 + 1) ORDER BY 2;
SELECT user_id - $1::bigint, product_id, state, version, $2::text
FROM payments WHERE user_id IN ($1, $1 + 1) ORDER BY 1, 2, 3, 4;
SELECT $1::bigint, replace(event_key, $2::text, ''), way, outcome
FROM provider_events WHERE event_key LIKE '%' || $2 || '%' ORDER BY 2
"""


async def opened(cashier, base):
    """Two people: one owes credits. Returns payments of every sort for what they asked for."""
    mark = f"<{base}>"
    user, other = base, base + 1
    await cashier.desk.open(user, other)
    await cashier.adjust(-420, user_id=user)
    first, second, third = [await cashier.invoice(user_id=user) for _ in range(3)]
    plan = await cashier.invoice("vip_30", 250, user_id=other)
    mine = [await cashier.invoice(user_id=other) for _ in range(2)]
    early = StarsRefundRecorded(user_id=user, charge_id=f"{mark}gone")
    await cashier.run(record_stars_refund, early, till=cashier.till)
    paid_plan = {"recurring": True, "first_recurring": True}
    until = cashier.now + MONTH
    return mark, [
        cashier.paid(first, f"{mark}a"),
        cashier.paid(first, f"{mark}a"),
        cashier.paid(first, f"{mark}again"),
        cashier.paid(second, f"{mark}b"),
        cashier.paid(second, f"{mark}short", amount_minor=1),
        cashier.paid(second, f"{mark}foreign", currency="USD"),
        cashier.paid(second, f"{mark}stolen", user_id=other),
        cashier.paid(second, f"{mark}forged", invoice_payload="nothing of ours"),
        cashier.paid(third, f"{mark}gone"),
        cashier.paid(mine[0], f"{mark}c"),
        cashier.paid(plan, f"{mark}plan", subscription_until=until, **paid_plan),
        cashier.paid(mine[1], f"{mark}d"),
    ]


def said(events, base, mark):
    return sorted(
        (
            type(each).__name__,
            getattr(each, "charge_id", "").replace(mark, ""),
            getattr(each, "code", ""),
            getattr(each, "available_credits", 0),
            getattr(each, "debt_paid_credits", 0),
            each.user_id - base if hasattr(each, "user_id") else 0,
        )
        for each in events
    )


async def left_behind(cashier, base, mark):
    found = [await cashier.rows(query, base, mark) for query in QUERIES.split(";")]
    return [
        [tuple(value for value in row if value not in (base, mark)) for row in rows]
        for rows in found
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_a_batch_leaves_what_its_payments_would_one_by_one(cashier, seed):
    order = Random(seed).sample(range(12), 12)
    mark, arrived = await opened(cashier, 100)
    alone = [told for at in order for told in await cashier.pay_all(arrived[at])]
    expected = said(alone, 100, mark), await left_behind(cashier, 100, mark)

    mark, arrived = await opened(cashier, 200)
    together = await cashier.pay_all(*(arrived[at] for at in order))

    assert (said(together, 200, mark), await left_behind(cashier, 200, mark)) == expected
    kinds = {type(each) for each in together}
    assert {PaymentCredited, PaymentHeld} < kinds
    assert expected[1][1]
    async with cashier.desk.database.read() as connection:
        assert (await audit(connection)).healthy


async def test_as_many_statements_for_many_payments_as_for_few(cashier):
    # COPY is not logged; the first batch also asks for what asyncpg keeps about types.
    few = [cashier.paid(await cashier.invoice(), f"few-{n}") for n in range(2)]
    many = [cashier.paid(await cashier.invoice(), f"many-{n}") for n in range(30)]

    counts = []
    for events in (few, many):
        sent = []
        async with cashier.desk.begin() as uow:
            with uow.connection.query_logger(lambda each, sent=sent: sent.append(each.query)):
                await record_stars_paid([received(each) for each in events], uow, till=cashier.till)
        counts.append(len(sent))

    assert 5 < counts[1] <= counts[0]
    assert (await cashier.account()).available == 20 + 32 * 330


async def test_what_a_batch_tells_keeps_the_trace_of_its_message(cashier):
    plan = cashier.paid(await cashier.invoice("vip_30", 250), "plan", subscription_until=None)
    one, two, three = [cashier.paid(await cashier.invoice(), f"pack-{n}") for n in range(3)]
    traces = []
    for batch in ([one, two], [three, plan]):
        events = [received(each, traceparent=f"of-{each.charge_id}") for each in batch]
        async with cashier.desk.begin() as uow:
            await record_stars_paid(events, uow, till=cashier.till)
        traces.append([json.loads(row.headers)["traceparent"] for row in uow.rows])

    assert traces == [["of-pack-0", "of-pack-1"], ["of-pack-2", *["of-plan"] * 3]]
