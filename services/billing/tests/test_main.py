"""The process as it is started: settings, wiring, command line."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from billing import cli
from billing.main import MIGRATIONS, SCHEMA, build
from billing.settings import Settings
from billing.testing import WORKFLOWS, FakeQueues, Tables, fake_books
from chassis import bootstrap
from chassis.broker import Broker
from chassis.database import Database
from chassis.errors import ConfigurationError
from chassis.migrations import migrate
from chassis.outbox import Outbox
from chassis.testing import drain

CATALOGUE = Path(__file__).parents[3] / "catalogue"
DSN = "postgresql://nobody@127.0.0.1:1/none"


def test_limits_have_the_defaults_of_the_design():
    settings = Settings(database_url=DSN)
    terms = settings.terms

    assert (terms.price_valid, terms.in_flight_max) == (timedelta(minutes=15), 10)
    assert (terms.start_within, terms.attempts_max) == (timedelta(minutes=30), 3)
    assert (terms.trial_credits, terms.trial_period) == (20, timedelta(days=2))
    assert (terms.hold_margin, terms.delivery_within) == (timedelta(minutes=10),) * 2


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("BILLING_DATABASE_URL", DSN)
    monkeypatch.setenv("BILLING_TRIAL_CREDITS", "5")
    monkeypatch.setenv("BILLING_PRICE_VALID", "PT1M")
    monkeypatch.setenv("BILLING_ACCESS_HOLD", "PT2H")
    monkeypatch.setenv("SHOP_TIME_ZONE", "Europe/Moscow")

    terms = Settings().terms

    assert (terms.trial_credits, terms.price_valid) == (5, timedelta(minutes=1))
    assert terms.access_hold == timedelta(hours=2)
    assert terms.zone.key == "Europe/Moscow"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_a_time_zone_that_does_not_exist_is_refused(zone):
    with pytest.raises(ValueError, match="no time zone"):
        Settings(database_url=DSN, shop_time_zone=zone)


@pytest.mark.parametrize("hold", [timedelta(minutes=9), timedelta(hours=12, seconds=1)])
def test_access_is_held_for_neither_too_short_nor_too_long(hold):
    with pytest.raises(ValueError, match="access_hold"):
        Settings(database_url=DSN, access_hold=hold)


def outbox_of(clock):
    return Outbox(cast("Any", None), cast("Any", None), clock)


def test_build_wires_every_part_and_takes_replacements(clock):
    queues = FakeQueues()

    built = build(
        Settings(database_url=DSN),
        outbox_of(clock),
        workflows=WORKFLOWS,
        books=fake_books(Tables()),
        queues=queues,
    )

    assert built.queues is queues
    assert [each.stream for each in built.subscriptions] == ["BILLING", "EVENTS"]
    own = {"sample-queues", "expire-holds", "expire-lots", "ask-deliveries"}
    given = {"make-draw-days", "return-gifts", "credit-referrals", "warn-expiring"}
    assert set(built.sweeps) >= own | given


def test_a_catalogue_that_cannot_be_read_stops_the_start(clock, tmp_path):
    settings = Settings(database_url=DSN, catalogue_dir=tmp_path)

    with pytest.raises(ConfigurationError, match="no workflow"):
        build(settings, outbox_of(clock))


async def command(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run billing's command line in a thread of this process: imports are paid for once."""

    def run() -> int:
        try:
            cli.main(arguments)
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    capfd.readouterr()
    code = await asyncio.wait_for(asyncio.to_thread(run), 120)
    out, err = capfd.readouterr()
    return code, out + err


async def _takes_commands(broker):
    return (await broker.consumer_info("BILLING", "billing")).num_waiting


async def test_the_service_runs_and_obeys_its_command_line(
    database_dsn, nats_url, monkeypatch, capfd
):
    monkeypatch.setenv("BILLING_DATABASE_URL", database_dsn)
    monkeypatch.setenv("BILLING_NATS_URL", nats_url)
    monkeypatch.setenv("BILLING_SIGNATURES", "off")
    monkeypatch.setenv("BILLING_CATALOGUE_DIR", str(CATALOGUE))
    # The first command is asked while the service still starts, which a busy machine takes long to.
    monkeypatch.setattr(cli, "ANSWER_TIMEOUT_SECONDS", 100.0)
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
    await bootstrap.apply(broker)
    database = await Database.connect(database_dsn, schema=SCHEMA, pool_max=2)
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "billing", stdout=asyncio.subprocess.DEVNULL
    )
    try:
        # The command line waits ten seconds for an answer: imports on a busy machine take longer.
        started = timedelta(seconds=90)
        await drain(lambda: _takes_commands(broker), within=started, what="billing takes commands")
        unknown = await command(capfd, "grant", "7", "5", "--reason", "test")
        async with database.read() as connection:
            await connection.execute(
                "INSERT INTO accounts (user_id, available, held, debt, in_flight, transfers, "
                "lots_opened, tier, tier_version, deep_link, opened_at) "
                "VALUES (7, 0, 0, 0, 0, 0, 0, 'none', 0, '', now())"
            )
        keyed = ("grant", "7", "5", "--reason", "test", "--key", "once")
        granted, again = await command(capfd, *keyed), await command(capfd, *keyed)
        tier = await command(capfd, "set-tier", "7", "vip", "--reason", "test", "--days", "3")
        healthy = await command(capfd, "audit")
        async with database.read() as connection:
            await connection.execute("UPDATE accounts SET available = 6")
        drifted = await command(capfd, "audit")
    finally:
        service.terminate()
        await drain(lambda: service.returncode is not None, what="billing stops on SIGTERM")
        await database.close()
        await broker.close()

    assert unknown == (1, "rejected: no_account\n")
    assert granted == (0, "granted 5 bonus credits to 7\n")
    assert again == (0, "already granted under this key: nothing was added\n")
    assert tier[0] == 0
    assert tier[1].startswith("tier of 7 is vip until ")
    assert healthy[0] == 0
    assert drifted[0] == 1
    assert "1 broken  7" in drifted[1]
    assert service.returncode == 0
