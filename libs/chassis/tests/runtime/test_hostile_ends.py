"""Publishing, effects, partitions, migrations and stops at their worst moments."""

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
from chassis.consumers import Route, Subscription
from chassis.database import Database
from chassis.effects import Effect, EffectKind, EffectResult, EffectWorker
from chassis.outbox import Outbox, UnitOfWork
from chassis.service import Service
from chassis.settings import DatabaseSettings
from chassis.testing import FakeClock, drain
from contracts import billing
from contracts.envelope import Headers
from contracts.ids import MessageId
from devstack.testing import free_port

SUBJECT = billing.GrantCredits.subject


def grant(key: str, user_id: int = 1) -> bytes:
    return billing.GrantCredits(
        grant_key=key, user_id=user_id, credits=1, reason="t", actor="t"
    ).encode()


def event() -> billing.CreditsGranted:
    return billing.CreditsGranted(user_id=1, credits=1, lot="bonus", reason="r")


def wire(message_id: UUID | None = None) -> dict[str, str]:
    return Headers(id=MessageId(message_id or new_id())).to_wire()


def holds(broker: Broker, stream: str, count: int) -> Callable[[], Any]:
    async def check() -> bool:
        info = await broker.api(f"STREAM.INFO.{stream}")
        return bool(info["state"]["messages"] == count)

    return check


async def test_what_the_last_batch_decides_is_published_before_the_process_ends(
    broker: Broker, database_dsn: str, nats_url: str, toy_migrations: Path
) -> None:
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    settings = DatabaseSettings(database_url=database_dsn, nats_url=nats_url, signatures="off")
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
    backup = await asyncpg.connect(database_dsn, server_settings={"search_path": "toy"})
    await backup.execute("BEGIN")
    await backup.fetch("SELECT FROM inbox")
    clock.advance(timedelta(days=1))

    async with asyncio.timeout(10):
        await outbox.partitions.maintain()
    await backup.close()
    assert await outbox.partitions.maintain() > 0


async def test_a_later_runtime_step_reaches_a_schema_that_has_service_steps(
    database_dsn: str, toy_migrations: Path, tmp_path_factory: Any, monkeypatch: Any
) -> None:
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    runtime = tmp_path_factory.mktemp("runtime")
    for path in migrations.RUNTIME_FOLDER.glob("*.sql"):
        (runtime / path.name).write_text(path.read_text())
    before = [step.key for step in migrations.read(runtime, "runtime")]
    more = f"{len(before) + 1:04}_pre_more"
    (runtime / f"{more}.up.sql").write_text("CREATE TABLE more (id int)")
    (runtime / f"{more}.down.sql").write_text("DROP TABLE more")
    monkeypatch.setattr(migrations, "RUNTIME_FOLDER", runtime)

    done = await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    undone = await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations, target=0)

    assert done == [f"up runtime/{more}"]
    assert undone == [
        "down service/0001_pre_toy",
        f"down runtime/{more}",
        *(f"down {step}" for step in reversed(before)),
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

    assert done == ["up service/0003_pre_new", "waits service/0004_post_new"]


async def test_many_migrators_at_once_on_an_empty_database(
    database_dsn: str, toy_migrations: Path
) -> None:
    done = await asyncio.gather(
        *(migrations.migrate(database_dsn, schema="toy", folder=toy_migrations) for _ in range(8))
    )

    steps = len(migrations.steps_of(toy_migrations))
    assert sorted(map(len, done)) == [0] * 7 + [steps]


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
        "VPN_SIGNATURES": "off",
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
        async with asyncio.timeout(20):
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
