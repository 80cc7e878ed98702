"""Suspected defects of the runtime, each refuted on real servers."""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from chassis import migrations
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock, id_floor, new_id
from chassis.consumers import ExactlyOnce, Route, Subscription
from chassis.database import Database, DatabaseUnavailableError
from chassis.effects import Effect, EffectKind, EffectResult, EffectWorker
from chassis.outbox import Outbox, UnitOfWork
from chassis.redrive import Redrive
from chassis.service import Service
from chassis.settings import DatabaseSettings
from chassis.testing import FakeClock, drain
from contracts import billing
from contracts.envelope import Headers
from contracts.ids import MessageId
from devstack.testing import free_port

Start = Callable[..., ExactlyOnce]
SUBJECT = billing.GrantCredits.subject
DEEP = b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0"


def grant(key: str, user_id: int = 1) -> bytes:
    return billing.GrantCredits(
        grant_key=key, user_id=user_id, credits=1, reason="t", actor="t"
    ).encode()


def event() -> billing.CreditsGranted:
    return billing.CreditsGranted(user_id=1, credits=1, lot="bonus", reason="r")


def wire(message_id: UUID | None = None) -> dict[str, str]:
    return Headers(id=MessageId(message_id or new_id())).to_wire()


async def record(command: billing.GrantCredits, uow: UnitOfWork) -> None:
    await uow.connection.execute("INSERT INTO done (key) VALUES ($1)", command.grant_key)


async def keys_done(database: Database) -> list[str]:
    async with database.read() as connection:
        return [row["key"] for row in await connection.fetch("SELECT key FROM done ORDER BY key")]


async def parked_rows(database: Database) -> list[Any]:
    async with database.read() as connection:
        return await connection.fetch("SELECT * FROM parked")


def holds(broker: Broker, stream: str, count: int) -> Callable[[], Any]:
    async def check() -> bool:
        info = await broker.api(f"STREAM.INFO.{stream}")
        return bool(info["state"]["messages"] == count)

    return check


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xc1", {**wire(id_floor(SystemClock().now() - timedelta(hours=2))), "Note": "a\0b"}),
        (b"\xc1", {"Vitrine-Sent-At": "2020-01-01T00:00:00"}),
        (DEEP, wire(id_floor(SystemClock().now() - timedelta(hours=2)))),
        (b"\xc1", wire(id_floor(SystemClock().now() + timedelta(days=900)))),
    ],
    ids=["a NUL in a header", "a time without zone", "nested too deep", "an id from the future"],
)
async def test_no_malformed_message_stops_or_loops_the_consumer(
    broker: Broker, database: Database, consume: Start, body: bytes, headers: dict[str, str]
) -> None:
    await broker.publish(SUBJECT, body, headers)
    await broker.publish(SUBJECT, grant("good"), wire())

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(holds(broker, "BILLING", 0), what="both to be settled")
    assert await keys_done(database) == ["good"]
    assert len(await parked_rows(database)) == 1


async def test_patience_counts_from_the_sending_not_from_a_derived_id(
    broker: Broker, database: Database, consume: Start
) -> None:
    """An event's id carries its order's time: the order may be hours old."""
    now = SystemClock().now()
    headers = Headers(id=MessageId(id_floor(now - timedelta(hours=3))), sent_at=now).to_wire()
    await broker.publish("billing.cmd.from_the_future.v9", b"x", headers)
    await broker.publish(SUBJECT, grant("good"), wire())

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(holds(broker, "BILLING", 1), what="the good one to be acked")
    assert await parked_rows(database) == []


async def test_a_message_that_was_handled_is_not_parked_for_want_of_an_ack(
    broker: Broker, database: Database, outbox: Outbox, consume: Start
) -> None:
    """The last start commits, the process dies before the ack: re-driven, it would count twice."""
    message_id = new_id()
    async with outbox.begin() as uow:
        await uow.connection.execute(
            "INSERT INTO inbox (day, id) VALUES ($1, $2)", uow.now.date(), message_id
        )
        await uow.connection.execute("INSERT INTO starts VALUES ($1, 5, now())", message_id)
    await broker.publish(SUBJECT, grant("once"), wire(message_id))
    pull = broker.consume("BILLING", "billing", batch=1)
    for _ in range(2):
        for delivery in await pull.next():
            await delivery.nak()
    await pull.stop()

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(holds(broker, "BILLING", 0), what="the repeat to be acked")
    assert await parked_rows(database) == []


async def test_a_consumer_that_fails_leaves_no_pull_behind(broker: Broker, outbox: Outbox) -> None:
    async def fails(_deliveries: object) -> None:
        raise ZeroDivisionError

    consumer = ExactlyOnce(
        "billing", outbox, Subscription(stream="BILLING", consumer="billing", routes=())
    )
    consumer._take = fails  # type: ignore[method-assign,assignment]
    before = len(broker.nc._sinks)
    await broker.publish(SUBJECT, grant("k"), wire())

    with pytest.raises(ZeroDivisionError):
        await consumer.run()

    assert len(broker.nc._sinks) == before
    assert not broker._reconnect_listeners


async def test_a_read_only_postgres_parks_and_kills_nothing(
    broker: Broker, database: Database, outbox: Outbox, consume: Start, database_dsn: str
) -> None:
    """After a failover the old primary still answers, but takes no writes."""
    admin = await asyncpg.connect(
        database_dsn, server_settings={"default_transaction_read_only": "off"}
    )
    name = await admin.fetchval("SELECT quote_ident(current_database())")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
    others += "current_database() AND pid <> pg_backend_pid()"
    background = Background()
    async with outbox.begin() as uow:
        old = id_floor(uow.now - timedelta(seconds=9))
        await uow.connection.execute(
            "INSERT INTO outbox VALUES ($1, $2, 'billing.evt.x', '{}', '')", uow.now.date(), old
        )
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await admin.execute(others)

    await broker.publish(SUBJECT, grant("k"), wire())
    background.spawn(outbox.run_sweeper(background.stopping), name="sweeper")
    consumer = consume(Route(message=billing.GrantCredits, handler=record))
    pulls = set()

    async def delivered_four_times() -> bool:
        pulls.add(consumer._pull)
        info = await broker.api("CONSUMER.INFO.BILLING.billing")
        return bool(info["delivered"]["consumer_seq"] >= 4)

    await drain(delivered_four_times, within=timedelta(seconds=20), what="four deliveries")
    await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await admin.execute(others)
    await admin.close()
    await drain(holds(broker, "BILLING", 0), within=timedelta(seconds=20), what="the message")
    await background.stop(timedelta(seconds=5))

    assert await keys_done(database) == ["k"]
    assert len(pulls - {None}) == 1
    assert background.failure is None


def redriver(outbox: Outbox, handler: Any) -> Redrive:
    route = Route(message=billing.GrantCredits, handler=handler)
    subscription = Subscription(stream="BILLING", consumer="billing", routes=(route,))
    return Redrive("billing", outbox, [ExactlyOnce("billing", outbox, subscription)])


async def park_fresh(outbox: Outbox, key: str) -> None:
    async with outbox.begin() as uow:
        await uow.connection.execute(
            "INSERT INTO parked VALUES ($1, 'BILLING', 'billing', $2, $3, $4, 'bug', '', $5, "
            "'fresh')",
            new_id(),
            SUBJECT,
            wire(),
            grant(key),
            uow.now,
        )


async def test_a_redriven_body_that_kills_the_process_cannot_loop(
    outbox: Outbox, database: Database
) -> None:
    starts = 0

    async def kill(_command: billing.GrantCredits, _uow: UnitOfWork) -> None:
        nonlocal starts
        starts += 1
        raise asyncio.CancelledError  # the process ends here

    await park_fresh(outbox, "killer")
    redrive = redriver(outbox, kill)
    for _ in range(8):
        try:
            await redrive.run_left_over()
        except asyncio.CancelledError:
            continue

    assert starts <= 5
    assert [row["state"] for row in await parked_rows(database)] == ["parked"]


async def test_a_redrive_that_postgres_interrupts_is_taken_up_again(
    outbox: Outbox, database: Database
) -> None:
    tries = 0

    async def interrupted(command: billing.GrantCredits, uow: UnitOfWork) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise asyncpg.ConnectionDoesNotExistError
        await record(command, uow)

    await park_fresh(outbox, "interrupted")
    redrive = redriver(outbox, interrupted)
    with pytest.raises(DatabaseUnavailableError):
        await redrive.run_left_over()
    await redrive.run_left_over()

    assert await keys_done(database) == ["interrupted"]
    assert [row["state"] for row in await parked_rows(database)] == ["done"]


async def test_what_the_last_batch_decides_is_published_before_the_process_ends(
    broker: Broker, database_dsn: str, nats_url: str, toy_migrations: Path
) -> None:
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    settings = DatabaseSettings(database_url=database_dsn, nats_url=nats_url)
    began = asyncio.Event()
    await broker.publish(SUBJECT, grant("last"), wire())

    async with Service.start("billing", settings) as service:

        async def slow(_command: billing.GrantCredits, uow: UnitOfWork) -> None:
            began.set()
            await service.background.stopping.wait()
            await uow.connection.execute("SELECT pg_sleep(0.3)")
            uow.emit(event())

        database = await service.database(schema="toy", folder=toy_migrations)
        outbox = await service.outbox(database)
        route = Route(message=billing.GrantCredits, handler=slow)
        service.consume(outbox, Subscription(stream="BILLING", consumer="billing", routes=(route,)))
        await began.wait()

    assert await holds(broker, "EVENTS", 1)()
    assert await holds(broker, "BILLING", 0)()


async def test_emitting_to_a_subject_no_stream_stores_fails_the_handler_not_the_publisher(
    outbox: Outbox, broker: Broker
) -> None:
    with pytest.raises(ValueError, match="no stream"):
        async with outbox.begin() as uow:
            uow.emit(event(), subject="nowhere.at.all")
    with pytest.raises(ValueError, match="line break"):
        async with outbox.begin() as uow:
            uow.emit(event(), aggregate="a\nb", version=1)
    async with outbox.begin() as uow:
        uow.emit(event(), traceparent="a\nb")

    await drain(holds(broker, "EVENTS", 1), what="the publisher to be alive")


async def test_one_unpublishable_row_does_not_stop_the_sweeper(
    database: Database, broker: Broker
) -> None:
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    background = Background()
    async with outbox.begin() as uow:
        for seconds, subject in ((9, "nowhere.at.all"), (8, "billing.evt.credits_granted.v1")):
            await uow.connection.execute(
                "INSERT INTO outbox VALUES ($1, $2, $3, $4, '')",
                uow.now.date(),
                id_floor(uow.now - timedelta(seconds=seconds)),
                subject,
                "{}",
            )
    background.spawn(outbox.run_sweeper(background.stopping), name="sweeper")

    await drain(holds(broker, "EVENTS", 1), what="the row behind it")
    await background.stop(timedelta(seconds=5))
    assert background.failure is None


async def test_a_full_stream_stops_only_what_goes_there(database: Database, broker: Broker) -> None:
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    config = (await broker.api("STREAM.INFO.JOBS"))["config"]
    await broker.api("STREAM.UPDATE.JOBS", {**config, "max_msgs": 1})
    background = Background()
    async with outbox.begin() as uow:
        old = uow.now - timedelta(seconds=60)
        for index in range(1_100):
            uow.emit(
                event(),
                subject="jobs.image.regular",
                id=id_floor(old + timedelta(milliseconds=index)),
            )
        uow.emit(event(), id=id_floor(old + timedelta(seconds=30)))
        outbox.committed = lambda _rows: None  # type: ignore[method-assign]
    background.spawn(outbox.run_sweeper(background.stopping), name="sweeper")

    await drain(holds(broker, "EVENTS", 1), what="the event behind 1,100 jobs")
    await background.stop(timedelta(seconds=5))


async def effect_row(database: Database) -> Any:
    async with database.read() as connection:
        return await connection.fetchrow("SELECT * FROM effects")


async def begin_effect(outbox: Outbox, attempts: int = 0, *, ambiguous: bool = False) -> None:
    async with outbox.begin() as uow:
        uow.effect("toy", "key", b"")
    async with outbox.begin() as uow:
        await uow.connection.execute(
            "UPDATE effects SET attempts = $1, ambiguous = $2", attempts, ambiguous
        )


async def test_an_effect_whose_record_fails_is_bounded_and_does_not_kill_the_worker(
    database: Database, broker: Broker
) -> None:
    clock = FakeClock()
    outbox = Outbox(database, broker, clock)
    calls = 0

    async def broken(_uow: UnitOfWork) -> None:
        raise ZeroDivisionError

    async def call(_effect: Effect) -> EffectResult:
        nonlocal calls
        calls += 1
        return EffectResult.done(broken)

    await begin_effect(outbox)
    worker = EffectWorker(outbox, {"toy": EffectKind(name="toy", call=call, attempts_max=2)})
    for _ in range(4):
        await worker.work_once()
        clock.advance(timedelta(minutes=10))

    assert calls == 2
    assert (await effect_row(database))["state"] == "failed"


async def test_an_effect_that_kills_the_process_is_given_up(
    database: Database, broker: Broker
) -> None:
    outbox = Outbox(database, broker, SystemClock())
    gave_up = []

    async def call(_effect: Effect) -> EffectResult:
        raise AssertionError("started too often")

    async def note(effect: Effect, _uow: UnitOfWork) -> None:
        gave_up.append(effect.key)

    await begin_effect(outbox, attempts=3, ambiguous=True)
    kind = EffectKind(name="toy", call=call, attempts_max=3, gave_up=note)
    called = []
    await EffectWorker(outbox, {"toy": kind}).work_once()

    assert called == []
    assert gave_up == ["key"]
    assert (await effect_row(database))["last_reason"] != "AssertionError"


async def test_an_ambiguous_last_attempt_is_reconciled_not_given_up(
    database: Database, broker: Broker
) -> None:
    """Given up, a refund the provider did make would be made good a second time."""
    clock = FakeClock()
    outbox = Outbox(database, broker, clock)
    gave_up = []

    async def call(_effect: Effect) -> EffectResult:
        raise TimeoutError  # the provider did it, and the answer was lost

    async def reconcile(_effect: Effect) -> EffectResult:
        return EffectResult.done()

    async def note(effect: Effect, _uow: UnitOfWork) -> None:
        gave_up.append(effect.key)

    await begin_effect(outbox)
    kind = EffectKind(name="toy", call=call, reconcile=reconcile, attempts_max=1, gave_up=note)
    worker = EffectWorker(outbox, {"toy": kind})
    for _ in range(2):
        await worker.work_once()
        clock.advance(timedelta(minutes=10))

    assert gave_up == []
    assert (await effect_row(database))["state"] == "done"


async def test_dropping_old_days_holds_nobody_up(
    database: Database, broker: Broker, database_dsn: str
) -> None:
    """A backup reads the inbox for minutes; a drop that waits for it would stop every insert."""
    clock = FakeClock()
    outbox = Outbox(database, broker, clock)
    await outbox.partitions.maintain()
    async with database.read() as connection:
        old = clock.now() - timedelta(days=32)
        await connection.execute("INSERT INTO starts VALUES ($1, 1, $2)", new_id(), old)
    backup = await asyncpg.connect(database_dsn, server_settings={"search_path": "toy"})
    await backup.execute("BEGIN")
    await backup.fetch("SELECT FROM inbox")
    clock.advance(timedelta(days=1))

    async with asyncio.timeout(10):
        await outbox.partitions.maintain()
    await backup.close()
    assert await outbox.partitions.maintain() > 0
    async with database.read() as connection:
        assert await connection.fetchval("SELECT count(*) FROM starts") == 0


async def test_a_later_runtime_step_reaches_a_schema_that_has_service_steps(
    database_dsn: str, toy_migrations: Path, tmp_path_factory: Any, monkeypatch: Any
) -> None:
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    runtime = tmp_path_factory.mktemp("runtime")
    for path in migrations.RUNTIME_FOLDER.glob("*.sql"):
        (runtime / path.name).write_text(path.read_text())
    (runtime / "0002_pre_more.up.sql").write_text("CREATE TABLE more (id int)")
    (runtime / "0002_pre_more.down.sql").write_text("DROP TABLE more")
    monkeypatch.setattr(migrations, "RUNTIME_FOLDER", runtime)

    done = await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    undone = await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations, target=0)

    assert done == ["up runtime/0002_pre_more"]
    assert undone == [
        "down service/0001_pre_toy",
        "down runtime/0002_pre_more",
        "down runtime/0001_pre_runtime",
    ]


async def test_the_pre_phase_never_takes_an_earlier_post_step_back(
    database_dsn: str, toy_migrations: Path
) -> None:
    def step(name: str) -> None:
        (toy_migrations / f"{name}.up.sql").write_text("SELECT 1")
        (toy_migrations / f"{name}.down.sql").write_text("SELECT 1")

    step("0002_post_old")
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    step("0003_pre_new")
    step("0004_post_new")

    done = await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations, phase="pre")

    assert done == ["up service/0003_pre_new"]


async def test_many_migrators_at_once_on_an_empty_database(
    database_dsn: str, toy_migrations: Path
) -> None:
    done = await asyncio.gather(
        *(migrations.migrate(database_dsn, schema="toy", folder=toy_migrations) for _ in range(8))
    )

    assert sorted(map(len, done)) == [0] * 7 + [2]


@pytest.mark.parametrize("lacking", ["postgres", "schema"])
async def test_a_service_that_waits_for_its_database_can_be_stopped(
    nats_url: str, database_dsn: str, lacking: str
) -> None:
    environment = {
        **os.environ,
        "VPN_DATABASE_URL": database_dsn
        if lacking == "schema"
        else f"postgresql://nobody@127.0.0.1:{free_port()}/none",
        "VPN_NATS_URL": nats_url,
        "VPN_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vpn",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    while b"waiting_for_" not in (line := await process.stdout.readline()):
        assert line, "it ended early"
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(8):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode == 0
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("INSERT INTO done (key) VALUES ('my secret text')", ()),
        ("SELECT $1::integer", ("my secret text",)),
        ("SELECT $1::text::integer", ("my secret text",)),
    ],
)
async def test_no_value_of_a_failed_statement_is_in_the_error(
    outbox: Outbox, statement: str, arguments: tuple[str, ...]
) -> None:
    async with outbox.begin() as uow:
        await uow.connection.execute("ALTER TABLE done ADD CHECK (key <> 'my secret text')")

    with pytest.raises(asyncpg.PostgresError) as raised:
        async with outbox.begin() as uow:
            await uow.connection.execute(statement, *arguments)

    assert "secret" not in "".join(traceback.format_exception(raised.value)).split("Error:", 1)[-1]
