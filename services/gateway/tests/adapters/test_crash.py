"""The gateway as processes: killed at any moment, it loses nothing and repeats only a send."""

import asyncio
import itertools
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from datetime import timedelta

import msgspec
import pytest
import pytest_asyncio

from chassis.broker import OutgoingMessage
from chassis.testing import drain
from contracts.billing import OpenAccount
from contracts.generator import shard_of
from contracts.topology import shard_consumer
from devstack.testing import free_port

_LONG = timedelta(seconds=90)
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


class Process:
    """One replica in a process of its own."""

    def __init__(self, platform, **changes) -> None:
        self.platform = platform
        self.health_port = free_port()
        settings = platform.settings(health_port=self.health_port, **changes)
        plain = settings.model_dump(mode="json", exclude_defaults=True)
        plain["bot_token"] = platform.telegram.token
        plain["catalogue_dir"] = str(settings.catalogue_dir)
        self.environment = {
            **os.environ,
            **{f"GATEWAY_{name.upper()}": str(value) for name, value in plain.items()},
        }
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", env=self.environment
        )

    async def ready(self) -> None:
        async def answered() -> bool:
            return await asyncio.to_thread(self._healthy)

        await drain(answered, within=_LONG, what="readiness")

    def _healthy(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.health_port}/readyz"
            with urllib.request.urlopen(url, timeout=3) as answer:
                return json.load(answer)["ok"]
        except (urllib.error.HTTPError, OSError):
            return False

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


@pytest_asyncio.fixture(loop_scope="module")
async def processes(platform):
    made = []

    async def start(**changes) -> Process:
        process = Process(platform, chat_sends_per_second=100, **changes)
        made.append(process)
        await process.start()
        return process

    yield start
    for process in made:
        await process.kill()


async def bot_messages(platform, person: int) -> list[dict]:
    return [m for m in await platform.people.messages(person) if m["from"] == "bot"]


async def test_updates_survive_being_killed_at_random_moments(platform, processes):
    people = range(70_000, 70_008)
    for person in people:
        await platform.people.user(person, first_name="A", started=True)
    # Long enough answers that a kill falls between commit, send and acknowledgement.
    await platform.people.fault("latency", method="sendMessage", seconds=0.05)
    first, second = await processes(), await processes()
    await asyncio.gather(first.ready(), second.ready())
    rounds = itertools.cycle([first, second])

    for turn in range(9):
        for person in people:
            await platform.people.say(person, "/start" if turn == 0 else "/help")
        if turn % 4 == 2:
            victim = next(rounds)
            await asyncio.sleep(0.03 * turn)  # another moment of the work each time
            await victim.kill()
            await victim.start()

    async def all_answered() -> bool:
        if await waiting(platform):
            return False
        return min([len(await bot_messages(platform, person)) for person in people]) >= 9

    await drain(all_answered, within=_LONG, what="every update is answered and acknowledged")
    rows = await platform.rows("SELECT body FROM outbox WHERE subject = $1", OpenAccount.subject)
    opened = [OpenAccount.decode(row["body"]).user_id for row in rows]
    assert sorted(set(people)) == sorted(user for user in opened if user in people)
    handled = await platform.rows(
        "SELECT count(*) AS n FROM updates WHERE user_id = ANY($1) AND handled_at IS NOT NULL",
        list(people),
    )
    assert handled[0]["n"] == 9 * len(people)
    assert await platform.value("SELECT count(*) FROM parked") == 0
    await platform.people.clear_faults()
    assert await first.stop() == 0


async def waiting(platform) -> int:
    return (await platform.broker.api("STREAM.INFO.UPDATES"))["state"]["messages"]


async def test_an_update_that_was_started_too_often_is_parked(platform, processes):
    """As a body leaves it that kills its process: five starts committed, none of them ended."""
    person = 70_100
    await platform.people.user(person, first_name="A", started=True)
    update = message(person, 88_000_000)
    shard = shard_of(person)
    await platform.broker.publish_all([OutgoingMessage(f"gateway.updates.{shard}", update, {})])
    pull = platform.broker.consume("UPDATES", shard_consumer(shard))
    for _ in range(2):
        for delivery in await pull.next(1):
            await delivery.nak()
    await pull.stop()
    await platform.rows(
        "INSERT INTO updates (bot_id, update_id, user_id, starts, received_at) "
        "VALUES ($1, 88000000, $2, 5, now())",
        platform.telegram.bot_id,
        person,
    )

    await processes()

    await drain(lambda: bot_messages(platform, person), within=_LONG, what="the apology")
    reasons = await platform.rows("SELECT reason FROM parked")
    assert "started too often without an end" in {row["reason"] for row in reasons}
    await drain(lambda: _none_waiting(platform), what="it is acknowledged")


async def _none_waiting(platform) -> bool:
    return await waiting(platform) == 0


def message(user_id: int, update_id: int) -> bytes:
    return msgspec.json.encode(
        {
            "update_id": update_id,
            "message": {
                "message_id": 1,
                "date": 1_790_000_000,
                "chat": {"id": user_id, "type": "private"},
                "from": {"id": user_id, "is_bot": False, "first_name": "A"},
                "text": "/help",
            },
        }
    )
