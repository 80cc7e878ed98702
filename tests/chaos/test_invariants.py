"""Every finding of a chaos run is green on a healthy shop and turns red when its rule is broken."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from chassis.clock import id_floor
from chassis.migrations import migrate
from contracts.ids import derived_id
from devstack.chaos.findings import Finding
from devstack.chaos.judgement import Seen, judge
from devstack.testing import DatabaseServer, create_database, drop_database, run_blocking

SERVICES = Path(__file__).parents[2] / "services"
NOW = datetime.now(UTC)
EARLIER = NOW - timedelta(minutes=5)
LATER = EARLIER + timedelta(days=3)
DONE, UNDONE, STRANGER, ACCESS, SUBSCRIPTION = (
    derived_id(id_floor(EARLIER), name)
    for name in ("done", "undone", "x", "access", "subscription")
)
FIRED = derived_id(id_floor(EARLIER), "timer", 1)
UPDATE_ID = 501

HEALTHY = f"""
INSERT INTO billing.accounts (user_id, available, held, debt, in_flight, transfers, lots_opened,
 tier, tier_version, deep_link, opened_at) VALUES (1, 15, 0, 0, 0, 4, 2, 'none', 0, '', now());
INSERT INTO billing.lots (user_id, number, kind, granted, remaining, state) VALUES
 (1, 1, 'trial', 20, 10, 'open'), (1, 2, 'paid', 5, 5, 'open');
INSERT INTO billing.transfers (user_id, number, lot, amount, debit, credit, kind, reason, at) VALUES
 (1, 1, 1, 20, 'gifts', 'available', 'trial', '', now()),
 (1, 2, 2, 5, 'bought', 'available', 'grant', '', now()),
 (1, 3, 1, 10, 'available', 'held', 'hold', '', now()),
 (1, 4, 1, 10, 'held', 'sold', 'post', '', now());
INSERT INTO billing.grants (grant_key, user_id, lot, kind, credits, reason, actor, granted_at)
 VALUES ('g', 1, 2, 'paid', 5, '', '', now());
INSERT INTO billing.orders (order_id, user_id, workflow_id, catalogue_version, price_credits,
 digest, pool, lane, state, version, reason, placed_at, traceparent, started_at,
 delivery_message_id) VALUES
 ('{DONE}', 1, 'w', 1, 10, '', 'image', 'priority', 'completed', 3, '',
  now() - interval '200 s', '', now() - interval '199 s', 7),
 ('{UNDONE}', 1, 'w', 1, 0, '', 'image', 'regular', 'refunded', 3, '',
  now() - interval '200 s', '', now() - interval '190 s', NULL);
INSERT INTO billing.holds (order_id, user_id, amount, parts, expires_at, state) VALUES
 ('{DONE}', 1, 10, '[]', now(), 'posted'), ('{UNDONE}', 1, 0, '[]', now(), 'voided');
INSERT INTO billing.outbox (day, id, subject, headers, body, published_at) VALUES
 (current_date, gen_random_uuid(), 'billing.evt.order_completed.v1',
  '{{"Vitrine-Order": "{DONE}"}}', '', now()),
 (current_date, gen_random_uuid(), 'billing.evt.order_refunded.v1',
  '{{"Vitrine-Order": "{UNDONE}"}}', '', now()),
 (current_date, gen_random_uuid(), 'billing.evt.audit_completed.v1', '{{}}', '', now());
INSERT INTO gateway.deliveries (id, user_id, shard, kind, order_id, body, state, attempts, due_at,
 message_id, created_at, settled_at)
 VALUES (gen_random_uuid(), 1, 1, 'result', '{DONE}', '{{}}', 'sent', 1, now(), 7, now(), now());
INSERT INTO gateway.updates (bot_id, update_id, user_id, received_at, handled_at)
 VALUES (1, {UPDATE_ID}, 1, now(), now());
INSERT INTO gateway.inbox VALUES (current_date, gen_random_uuid());
INSERT INTO scheduler.inbox VALUES (current_date, gen_random_uuid());
INSERT INTO vpn.inbox VALUES (current_date, gen_random_uuid());
INSERT INTO scheduler.timers VALUES
 ('timer', 1, '{EARLIER.isoformat()}', 's', '', '', 'fired', '{EARLIER.isoformat()}');
INSERT INTO scheduler.ticks VALUES ('run_audit', 20, now() + interval '5 s');
INSERT INTO scheduler.outbox (day, id, subject, headers, body, published_at) VALUES
 (current_date, '{FIRED}', 'billing.cmd.run_audit.v1', '{{}}', '', now() - interval '100 s');
INSERT INTO billing.inbox VALUES (current_date, '{FIRED}');
INSERT INTO billing.effects (key, kind, body, traceparent, due_at, attempts, state,
 settled_at) VALUES
 ('audit:{EARLIER.isoformat()}', 'audit', '', '', now(), 1, 'done', now());
"""
HEALTHY += f"""
INSERT INTO billing.orders (order_id, user_id, workflow_id, catalogue_version, price_credits,
 digest, pool, lane, state, version, reason, placed_at, traceparent) VALUES
 ('{ACCESS}', 1, 'vpn_trial', 1, 0, '', 'vpn', 'bought', 'completed', 2, '', now(), '');
INSERT INTO billing.holds (order_id, user_id, amount, parts, expires_at, state)
 VALUES ('{ACCESS}', 1, 0, '[]', now(), 'posted');
INSERT INTO billing.outbox (day, id, subject, headers, body, published_at) VALUES
 (current_date, gen_random_uuid(), 'billing.evt.access_bought.v1',
  '{{"Vitrine-Order": "{ACCESS}"}}', '', now());
INSERT INTO vpn.people (user_id, trial_used) VALUES (1, true);
INSERT INTO vpn.subscriptions (id, user_id, until, state, plan, set_id, key, link, link_hash,
 trial, auto_renew, devices, used_bytes, traffic_told, renew_attempts, short_told, reminded_left,
 version, timer_version, created_at) VALUES ('{SUBSCRIPTION}', 1, '{LATER.isoformat()}', 'active',
 'vpn_trial', 'all', '{ACCESS}', 'link', 'hash', true, false, 1, 0, 0, 0, false, 0, 1, 1, now());
INSERT INTO vpn.grants (order_id, user_id, subscription_id, plan, until, span, traffic_bytes,
 plan_before, trial_before, given_at) VALUES ('{ACCESS}', 1, '{SUBSCRIPTION}', 'vpn_trial',
 '{LATER.isoformat()}', '3 days', 0, '', false, '{EARLIER.isoformat()}');
INSERT INTO vpn.desired (subscription_id, set_id, key, expires_at, flow, digest, generation,
 changed_at) VALUES ('{SUBSCRIPTION}', 'all', '{ACCESS}', '{LATER.isoformat()}', '', 7, 1, now());
INSERT INTO vpn.node_sets VALUES ('all', 1, 7);
"""
SEEN = Seen(
    placed=[DONE, UNDONE],
    updates=[UPDATE_ID],
    results=[(DONE, NOW.timestamp())],
    crashes=[],
    troubles=[],
    timer_keys=["timer"],
    claim_silence=30.0,
    round_trip=0.05,
)


@dataclass(frozen=True)
class Plant:
    """One broken rule: what is done to the healthy shop, or seen of it."""

    says: str
    sql: str = "SELECT"
    seen: dict[str, Any] = field(default_factory=dict)


def parked(service: str) -> Plant:
    return Plant(
        f"{service} parked nothing",
        f"INSERT INTO {service}.parked (id, stream, consumer, subject, headers, body, reason, "
        "traceparent, parked_at, state) VALUES (gen_random_uuid(), 's', 'c', 's', '{}', '', 'r', "
        "'', now(), 'parked')",
    )


def result(order_id: UUID) -> str:
    return (
        "INSERT INTO gateway.deliveries (id, user_id, shard, kind, order_id, body, state, due_at, "
        f"created_at, settled_at) VALUES (gen_random_uuid(), 1, 1, 'result', '{order_id}', '{{}}', "
        "'sent', now(), now(), now())"
    )


TWICE = [(DONE, NOW.timestamp()), (DONE, NOW.timestamp() + 3)]
PLANTS = [
    Plant("available = lots, and never negative", "UPDATE billing.accounts SET available = 16"),
    Plant("held = pending holds", "UPDATE billing.accounts SET held = 1"),
    Plant(
        "lots = replay of the transfers",
        "INSERT INTO billing.transfers (user_id, number, lot, amount, debit, credit, kind, reason, "
        "at) VALUES (1, 5, 1, 1, 'held', 'available', 'void', '', now())",
    ),
    Plant(
        "each grant credited once",
        "INSERT INTO billing.grants (grant_key, user_id, lot, kind, credits, reason, actor, "
        "granted_at) VALUES ('h', 1, 3, 'paid', 5, '', '', now())",
    ),
    Plant("every confirmed screen is an order", seen={"placed": [DONE, STRANGER]}),
    Plant("every order has ended", "UPDATE billing.orders SET state = 'running'"),
    Plant(
        "its end was told exactly once",
        "INSERT INTO billing.outbox (day, id, subject, headers, body) SELECT day, "
        "gen_random_uuid(), subject, headers, body FROM billing.outbox",
    ),
    Plant("charged if and only if completed", "UPDATE billing.holds SET state = 'posted'"),
    Plant(
        "every completed order was delivered or says why not",
        "UPDATE billing.orders SET delivery_message_id = NULL",
    ),
    Plant("a refunded order delivers nothing", result(UNDONE)),
    Plant("a result comes again only after a crash", seen={"results": TWICE}),
    Plant("every update took effect", "UPDATE gateway.updates SET handled_at = NULL"),
    *(parked(service) for service in ("gateway", "billing", "scheduler", "vpn")),
    Plant(
        "no regular job started before a waiting priority job",
        "UPDATE billing.orders SET started_at = now() WHERE lane = 'priority'",
    ),
    Plant("every timer fired", "UPDATE scheduler.timers SET state = 'armed'"),
    Plant("none fired early", "UPDATE scheduler.timers SET changed_at = due_at - interval '1 ms'"),
    Plant("no tick is overdue", "UPDATE scheduler.ticks SET due_at = now() - interval '60 s'"),
    Plant("a fired timer was told exactly once", "UPDATE scheduler.outbox SET published_at = NULL"),
    Plant("what was fired was handled exactly once", "DELETE FROM billing.inbox"),
    Plant("a fired timer has its one effect", "UPDATE billing.effects SET key = 'audit:other'"),
    Plant("no effect failed or is overdue", "UPDATE billing.effects SET state = 'failed'"),
    Plant(
        "a done effect told its result once",
        "INSERT INTO billing.outbox (day, id, subject, headers, body) SELECT current_date, "
        "gen_random_uuid(), 'billing.evt.audit_completed.v1', '{}', ''",
    ),
    Plant(
        "access is charged if and only if it is given",
        f"UPDATE billing.orders SET state = 'refunded' WHERE order_id = '{ACCESS}'",
    ),
    Plant(
        "a subscription runs for what was bought, once",
        "UPDATE vpn.subscriptions SET until = until + interval '3 days'",
    ),
    Plant(
        "nodes are to hold whoever has access, with the right key",
        "UPDATE vpn.desired SET removed_for = 'expired'",
    ),
    Plant(
        "the hash of what nodes are to hold is its sum", "UPDATE vpn.node_sets SET digest_sum = 8"
    ),
    Plant(
        "a period's trial was given once",
        "INSERT INTO billing.transfers (user_id, number, lot, amount, debit, credit, kind, reason, "
        "at) VALUES (1, 5, 1, 20, 'gifts', 'available', 'trial', '', now() + interval '9 s')",
    ),
]


@pytest.fixture(scope="module")
def shop_dsn(postgres_server: DatabaseServer) -> Iterator[str]:
    """The four schemas, as the services' own migrations make them, and a healthy shop in them."""

    async def prepare() -> str:
        dsn = await create_database(postgres_server)
        for service in ("billing", "gateway", "scheduler", "vpn"):
            folder = SERVICES / service / "migrations"
            await migrate(dsn, schema=service, folder=folder)
        connection = await asyncpg.connect(dsn)
        try:
            for service in ("billing", "gateway", "scheduler", "vpn"):
                await connection.execute(f"SET search_path TO {service}")
                await connection.execute(
                    "SELECT ensure_day_partitions(current_date - 1, current_date - 1, "
                    "current_date + 1)"
                )
            await connection.execute(HEALTHY)
        finally:
            await connection.close()
        return dsn

    dsn = run_blocking(prepare())
    yield dsn
    run_blocking(drop_database(postgres_server, dsn))


@asynccontextmanager
async def planted(dsn: str, sql: str = "SELECT") -> AsyncIterator[asyncpg.Connection]:
    """The healthy shop with something done to it, for as long as the transaction lasts."""
    connection = await asyncpg.connect(dsn)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(sql)
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


def broken(findings: list[Finding]) -> set[str]:
    return {finding.says for finding in findings if finding.broken}


async def test_a_healthy_shop_breaks_nothing_and_every_rule_looked_at_something(
    shop_dsn: str,
) -> None:
    async with planted(shop_dsn) as connection:
        findings = await judge(connection, SEEN)

    assert broken(findings) == set()
    assert [finding.says for finding in findings if not finding.looked_at] == []


async def test_every_finding_has_a_plant(shop_dsn: str) -> None:
    async with planted(shop_dsn) as connection:
        findings = await judge(connection, SEEN)

    assert sorted(finding.says for finding in findings) == sorted(each.says for each in PLANTS)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.says)
async def test_a_broken_rule_is_reported(shop_dsn: str, plant: Plant) -> None:
    async with planted(shop_dsn, plant.sql) as connection:
        findings = await judge(connection, replace(SEEN, **plant.seen))

    assert plant.says in broken(findings)


async def test_a_crash_between_send_and_record_excuses_a_second_result(shop_dsn: str) -> None:
    rule = "a result comes again only after a crash"
    again = replace(SEEN, results=TWICE, crashes=[NOW.timestamp() + 1])

    async with planted(shop_dsn) as connection:
        uncounted = await judge(connection, again)
    async with planted(shop_dsn, "UPDATE gateway.deliveries SET attempts = 2") as connection:
        counted = await judge(connection, again)

    assert rule in broken(uncounted), "it was sent twice by one start"
    assert rule not in broken(counted)


async def test_a_machine_whose_services_answer_late_may_start_a_job_later(shop_dsn: str) -> None:
    """The regular job of the healthy shop started ten seconds after the priority job was placed."""
    rule = "no regular job started before a waiting priority job"
    late = "UPDATE billing.orders SET started_at = now() - interval '180 s' WHERE lane = 'priority'"

    async with planted(shop_dsn, late) as connection:
        quick = await judge(connection, SEEN)
        patient = await judge(connection, replace(SEEN, round_trip=0.65))
        slow = await judge(connection, replace(SEEN, round_trip=0.75))

    assert rule in broken(quick)
    assert rule in broken(patient)
    assert rule not in broken(slow)


async def test_an_effect_that_a_dead_process_holds_is_not_overdue_yet(shop_dsn: str) -> None:
    rule = "no effect failed or is overdue"
    due = (
        "UPDATE billing.effects SET state = 'due', settled_at = NULL, "
        "due_at = now() - interval '60 s'"
    )

    async with planted(shop_dsn, f"{due}, leased_until = now() + interval '60 s'") as connection:
        leased = await judge(connection, SEEN)
    async with planted(shop_dsn, due) as connection:
        forgotten = await judge(connection, SEEN)

    assert rule not in broken(leased)
    assert rule in broken(forgotten)


async def test_the_true_number_of_ticks_is_told(shop_dsn: str) -> None:
    more = "INSERT INTO scheduler.ticks SELECT n::text, 1, now() FROM generate_series(1, 4) n"

    async with planted(shop_dsn, more) as connection:
        findings = await judge(connection, SEEN)

    assert {each.says: each.looked_at for each in findings}["no tick is overdue"] == 5


BROKEN_ACCESS = [
    ("access is charged if and only if it is given", "UPDATE vpn.grants SET revoked_at = now()"),
    ("access is charged if and only if it is given", "DELETE FROM vpn.grants"),
    (
        "access is charged if and only if it is given",
        f"DELETE FROM billing.orders WHERE order_id = '{ACCESS}'",
    ),
    (
        "a subscription runs for what was bought, once",
        f"UPDATE vpn.grants SET given_at = '{LATER.isoformat()}'",
    ),
    (
        "nodes are to hold whoever has access, with the right key",
        "UPDATE vpn.desired SET key = gen_random_uuid()",
    ),
    (
        "nodes are to hold whoever has access, with the right key",
        "UPDATE vpn.desired SET expires_at = now()",
    ),
    ("nodes are to hold whoever has access, with the right key", "DELETE FROM vpn.desired"),
    (
        "nodes are to hold whoever has access, with the right key",
        "UPDATE vpn.subscriptions SET state = 'suspended', delete_at = now()",
    ),
    ("the hash of what nodes are to hold is its sum", "UPDATE vpn.node_sets SET entries = 2"),
]


@pytest.mark.parametrize(
    ("rule", "sql"), BROKEN_ACCESS, ids=[f"{n}" for n in range(len(BROKEN_ACCESS))]
)
async def test_access_is_broken_in_every_way_it_can_be(shop_dsn: str, rule: str, sql: str) -> None:
    async with planted(shop_dsn, sql) as connection:
        findings = await judge(connection, SEEN)

    assert rule in broken(findings)
