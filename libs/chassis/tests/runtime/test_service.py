"""A whole service as a process: starts before what it needs, stops within its grace."""

import asyncio
import base64
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

import vpn as vpn_service
from chassis import bootstrap, migrations
from chassis.broker import Broker
from chassis.clock import new_id
from chassis.testing import drain
from contracts import vpn
from contracts.envelope import Headers
from contracts.ids import MessageId
from devstack.testing import free_port

FOLDER = Path(vpn_service.__file__).parents[2] / "migrations"


def health(port: int, path: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, {}


@pytest.fixture
async def process(
    database_dsn: str, nats_url: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    port = free_port()
    environment = {
        **os.environ,
        "VPN_DATABASE_URL": database_dsn,
        "VPN_NATS_URL": nats_url,
        "VPN_SIGNATURES": "off",
        "VPN_HEALTH_PORT": str(port),
        "VPN_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vpn", env=environment, stdout=asyncio.subprocess.PIPE
    )
    yield process, port
    if process.returncode is None:
        process.kill()
        await process.wait()


async def ready(port: int) -> bool:
    status, _ = await asyncio.to_thread(health, port, "/readyz")
    return status == 200


async def test_a_service_waits_for_its_schema_works_and_stops(
    process: tuple[asyncio.subprocess.Process, int], database_dsn: str, nats_url: str
) -> None:
    running, port = process

    async def alive() -> bool:
        return (await asyncio.to_thread(health, port, "/livez"))[0] == 200

    await drain(alive, what="liveness before the schema exists")
    broker = await Broker.connect(nats_url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    await migrations.migrate(database_dsn, schema="vpn", folder=FOLDER)
    await drain(lambda: ready(port), what="readiness")
    orders = new_id(), new_id()
    for order_id in orders:
        command = vpn.GrantAccess(order_id=order_id, user_id=7, plan="nobody_sells_it", days=30)
        headers = Headers(id=MessageId(new_id())).to_wire()
        await broker.publish(command.subject, command.encode(), headers)

    async def answered() -> bool:
        info = await broker.api("STREAM.INFO.EVENTS")
        return bool(info["state"]["messages"] == 2)

    await drain(answered, what="both commands to be refused")
    stored = [await broker.api("STREAM.MSG.GET.EVENTS", {"seq": number}) for number in (1, 2)]
    running.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):  # a start on a machine that many share
        output, _ = await running.communicate()
    await broker.close()

    assert running.returncode == 0
    for each in stored:
        refused = vpn.AccessRefused.decode(base64.b64decode(each["message"]["data"]))
        assert each["message"]["subject"] == vpn.AccessRefused.subject
        assert (refused.order_id in orders, refused.code) == (True, "unknown_product")
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert events[0] == "starting"
    assert events[-1] == "stopped"


async def test_a_service_waits_for_its_role_and_its_rights(
    nats_url: str, database_dsn: str
) -> None:
    """The migration job makes both, and nobody says that it runs first."""
    parts = urlsplit(database_dsn)
    role = f"late_{uuid4().hex}"
    role_dsn = urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.hostname}:{parts.port}"))
    port = free_port()
    environment = {
        **os.environ,
        "VPN_DATABASE_URL": role_dsn,
        "VPN_NATS_URL": nats_url,
        "VPN_SIGNATURES": "off",
        "VPN_HEALTH_PORT": str(port),
        "VPN_LOG_FORMAT": "json",
    }
    broker = await Broker.connect(nats_url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    await broker.close()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vpn", env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"waiting_for_postgres" not in (line := await process.stdout.readline()):
                assert line, "it ended early"
        status, body = await asyncio.to_thread(health, port, "/readyz")
        # Without the default rights that `provision` gives, so that they come last.
        admin = await asyncpg.connect(database_dsn)
        await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        await migrations.migrate(database_dsn, schema="vpn", folder=FOLDER)
        await admin.execute(f"GRANT USAGE ON SCHEMA vpn TO {role}")
        async with asyncio.timeout(60):
            while b"may not read" not in (line := await process.stdout.readline()):
                assert line, "it ended early"
        await admin.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA vpn TO {role}")
        await drain(lambda: ready(port), what="readiness")
        await admin.close()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):  # a start on a machine that many share
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        admin = await asyncpg.connect(database_dsn)
        await admin.execute(f"DROP OWNED BY {role}")
        await admin.execute(f"DROP ROLE {role}")
        await admin.close()

    assert status == 503
    assert "Postgres" in body["unwell"]["postgres"]
    assert process.returncode == 0


@pytest.mark.parametrize("url", ["mysql://a@127.0.0.1/b", "postgresql://a@127.0.0.1:port/b"])
async def test_a_url_that_is_none_ends_with_one_sentence(nats_url: str, url: str) -> None:
    environment = {
        **os.environ,
        "VPN_DATABASE_URL": url,
        "VPN_NATS_URL": nats_url,
        "VPN_SIGNATURES": "off",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vpn",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):  # a start on a machine that many share
        _, errors = await process.communicate()

    assert process.returncode == 2
    assert errors.startswith(b"configuration: ")


async def test_bad_settings_end_with_one_sentence(nats_url: str) -> None:
    environment = {"PATH": os.environ["PATH"], "VPN_NATS_URL": nats_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vpn", env=environment, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):  # a start on a machine that many share
        _, errors = await process.communicate()

    assert process.returncode == 2
    assert b"database_url" in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_that_waits_for_nats_can_be_stopped(number: signal.Signals) -> None:
    port = free_port()
    environment = {
        **os.environ,
        "VPN_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "VPN_NATS_URL": f"nats://127.0.0.1:{free_port()}",
        "VPN_SIGNATURES": "off",
        "VPN_HEALTH_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vpn", env=environment, stdout=asyncio.subprocess.PIPE
    )

    async def unready() -> bool:
        return (await asyncio.to_thread(health, port, "/readyz"))[0] == 503

    await drain(unready, what="an honest readiness")
    process.send_signal(number)
    async with asyncio.timeout(60):  # a start on a machine that many share
        await process.communicate()

    assert process.returncode == 0
