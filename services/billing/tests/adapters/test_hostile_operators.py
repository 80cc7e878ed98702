"""What operators ask: found by index whatever they type, tried without leaving a trace."""

import asyncio
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from billing import consumers
from billing.adapters.dry_run import DryRun
from billing.adapters.postgres_payments import (
    PostgresCharges,
    PostgresPayments,
    PostgresRecords,
)
from billing.adapters.postgres_rewards import postgres_rewards
from billing.adapters.postgres_search import SQL, PostgresSearch, Wanted
from billing.domain.offers import Offers
from billing.domain.terms import Terms
from billing.handlers.find_records import find_records
from billing.ports.payments import Till
from billing.testing import WORKFLOWS, order_of
from chassis.clock import new_id
from chassis.errors import TransientError
from contracts import billing, payments, rewards
from contracts.operators import FindRecords, TryCommand
from contracts.payments import Plan

PLANS = {"vip_30": Plan(id="vip_30", tier="vip", days=30, price_credits=300)}


@pytest.fixture
def attempt(postgres_desk):
    desk = postgres_desk
    till = Till(
        desk.books,
        PostgresPayments(),
        PostgresCharges(),
        PostgresRecords(),
        Offers(plans=PLANS),
        {},
    )
    table = partial(
        consumers.table,
        books=desk.books,
        rewards=postgres_rewards(),
        till=till,
        pace=desk.pace,
        catalogue=WORKFLOWS,
        terms=Terms(zone=ZoneInfo("UTC")),
    )
    dry = DryRun(desk.outbox, table, desk.queues)

    async def attempt(command):
        request = TryCommand(command_subject=command.subject, body=command.encode(), actor="op")
        return await dry.try_command(request)

    return attempt


async def rows(desk, query):
    async with desk.database.read() as connection:
        return [tuple(row) for row in await connection.fetch(query)]


async def test_a_tried_order_takes_no_place_in_a_queue(attempt, postgres_desk):
    await postgres_desk.open(1, amount=100)
    before = postgres_desk.queues.rooms()

    tried = await attempt(order_of(1, postgres_desk.now))

    assert (tried.code, len(tried.messages)) == ("", 2)
    assert postgres_desk.queues.rooms() == before
    assert await rows(postgres_desk, "SELECT * FROM orders") == []


async def test_a_command_that_would_be_refused_is_told_as_refused(attempt, postgres_desk):
    desk = postgres_desk
    await desk.open(1)
    now = desk.now
    commands = {
        "insufficient_credits": order_of(1, now, workflow=WORKFLOWS["video.orbit"]),
        "unknown_product": payments.BuyPlan(
            order_id=new_id(), user_id=1, plan_id="no", price_credits=1, priced_at=now
        ),
        "promo_unknown": rewards.RedeemPromo(user_id=1, code="NOTHING"),
        "gift_unknown": rewards.OpenGift(user_id=1, code="NOTHING"),
        "provider_off": payments.CreatePayment(
            payment_id=new_id(),
            user_id=1,
            provider="stars",
            product_id="x",
            amount_minor=1,
            currency="XTR",
        ),
        "no_account": billing.GrantCredits(
            grant_key="k", user_id=9, credits=1, reason="r", actor="a"
        ),
    }

    told = {code: (await attempt(command)).code for code, command in commands.items()}

    assert told == {code: code for code in commands}
    outcomes = await rows(
        desk, "SELECT outcome FROM operator_actions WHERE dry_run ORDER BY number"
    )
    assert [outcome for (outcome,) in outcomes] == list(commands)


ROWS = {
    "find_users_of": ("texts", "uuid", "number", "code"),
    "find_charges": ("texts", "uuid", "limit"),
    "find_actions": ("texts", "limit"),
    "find_gift": ("id",),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("query", ["01939f9c-5c00-7abc-8def-0123456789ab", "12345", "charge-1"])
async def test_nothing_is_searched_row_by_row(database, name, query):
    """With sequential scans forbidden Postgres still takes one where no index can serve."""
    wanted = Wanted.of(query)
    values = {**wanted._asdict(), "limit": 10, "id": new_id()}
    async with database.read() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        arguments = [values[each] for each in ROWS[name]]
        plan = await connection.fetch(f"EXPLAIN {SQL[name]}", *arguments)

    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in text, text
    # An index read from end to end is no better.
    scans = text.count("Scan using") + text.count("Bitmap Index Scan")
    assert scans == text.count("Index Cond") > 0, text


@pytest.mark.parametrize("name", SQL)
async def test_every_search_is_understood_by_the_database(database, name):
    async with database.read() as connection:
        await connection.prepare(SQL[name])


@pytest.mark.parametrize(
    "query",
    ["0", "-1", "9" * 30, "٣", "' OR 1=1 --", "%", "é" * 200, "{", "urn:uuid:", "1e5", "007"],
)
async def test_weird_ids_find_nothing_and_harm_nothing(postgres_desk, query):
    await postgres_desk.open(7)
    search = PostgresSearch(postgres_desk.database)

    found = await find_records(FindRecords(query=query), search=search)

    assert (found.facts, found.cut) == ((), False)


@pytest.mark.parametrize("charge_id", ["0123456789abcdef0123456789ABCDEF", "CHARGE-Ünicode"])
async def test_a_charge_whose_id_looks_like_another_id_is_found(postgres_desk, charge_id):
    async with postgres_desk.begin() as uow:
        await uow.connection.execute(
            "INSERT INTO charges (provider, charge_id, user_id, product_id, amount_minor, currency,"
            " paid_at, state, version, credits) VALUES ('stars', $1, 7, 'p', 1, 'XTR', now(),"
            " 'review', 1, 0)",
            charge_id,
        )
    find = partial(find_records, search=PostgresSearch(postgres_desk.database))

    found = await find(FindRecords(query=charge_id))

    assert {fact.id for fact in found.facts} == {charge_id}


async def test_a_try_does_not_wait_for_an_account_longer_than_whoever_asked(attempt, postgres_desk):
    desk = postgres_desk
    await desk.open(1)
    async with desk.begin() as uow:
        await desk.books.accounts.lock(uow.connection, [1])
        async with asyncio.timeout(5):
            with pytest.raises(TransientError):
                await attempt(rewards.TakeDraw(user_id=1))
