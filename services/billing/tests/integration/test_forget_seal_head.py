"""LedgerSealBroken's last steps, by its own words: two operators let the chain begin anew."""

import asyncio
import os
import re
import sys
from pathlib import Path

import asyncpg
import msgspec
import pytest

from billing.adapters.seals import BUCKET, KEY, Kept, broken_seals
from billing.domain.chain import Head
from billing.main import MIGRATIONS, SCHEMA
from chassis import bootstrap
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.key_value import KeyValue
from chassis.migrations import migrate
from chassis.testing import drain
from contracts import billing
from contracts.envelope import Headers
from devstack.testing import running_service

ROOT = Path(__file__).parents[4]
RUNBOOK = (ROOT / "docs/runbooks/LedgerSealBroken.md").read_text()
PROGRAM = "from vitrine_tools.cli import main; main()"
ANNA, BORIS = "anna", "boris"


class Restored:
    """A billing that seals twice a second, and what stands in its database and outside."""

    def __init__(self, broker, database, books, nats_url):
        self.broker, self.database, self.books, self.nats_url = broker, database, books, nats_url
        self.heads = KeyValue(broker, BUCKET)
        self.people = 0

    async def more(self):
        """One more account, and so one more transfer; wait until the ledger has sealed it."""
        self.people += 1
        command = billing.OpenAccount(user_id=self.people)
        headers = Headers(id=new_id(), sent_at=SystemClock().now())
        await self.broker.publish(command.subject, command.encode(), headers.to_wire())
        query = "SELECT coalesce(sum(transfers), 0) FROM seals"
        await drain(lambda: _is(self.books.fetchval(query), self.people), what="it is sealed")

    async def kept(self):
        entry = await self.heads.get(KEY)
        return msgspec.msgpack.decode(entry.value, type=Kept).number if entry else 0

    async def found(self):
        return await self.books.fetchval("SELECT coalesce(max(number), 0) FROM seals")

    async def agree(self):
        return await self.kept() == await self.found()

    async def broken(self):
        entry = await self.heads.get(KEY)
        kept = msgspec.msgpack.decode(entry.value, type=Kept)
        return await broken_seals(self.database, Head(kept.number, kept.digest))

    async def vitrine(self, who, *words):
        """An operator's command: how it ended, and what it said."""
        environment = {
            **os.environ,
            "VITRINE_NATS_URL": self.nats_url,
            "VITRINE_SIGNATURES": "off",
            "VITRINE_ACTOR": who,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, *map(str, words)),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode, " ".join(said.decode().split())


@pytest.fixture
async def restored(database_dsn, nats_url, monkeypatch):
    monkeypatch.setenv("BILLING_DATABASE_URL", database_dsn)
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=AssertionError)
    await bootstrap.apply(broker)
    await KeyValue(broker, BUCKET).delete(KEY)
    books = await asyncpg.connect(database_dsn, server_settings={"search_path": SCHEMA})
    database = await Database.connect(database_dsn, schema=SCHEMA, pool_max=2)
    settings = {
        "database_url": database_dsn,
        "nats_url": nats_url,
        "catalogue_dir": ROOT / "catalogue",
        "seal_every": 0.5,
    }
    async with running_service("billing", settings):
        restored = Restored(broker, database, books, nats_url)
        for _ in range(2):
            await restored.more()
        await drain(restored.agree, what="the head is kept outside")
        yield restored
    await database.close()
    await books.close()
    await broker.close()


async def test_the_chain_begins_anew_by_the_word_of_two_people(restored):
    (statements,) = re.findall(r"```sql\n(.+?)```", RUNBOOK, re.DOTALL)
    kept = await restored.kept()
    assert kept == 2

    await restored.books.execute(statements)
    await restored.more()
    assert await restored.found() == 1
    assert await restored.kept() == kept, "a newer head was written over without anybody's word"
    assert 0 in await restored.broken()

    asked = ("forget-seal-head", kept, "--reason", "restored")
    code, said = await restored.vitrine(ANNA, *asked)
    assert (code, said) == (
        1,
        f"so much needs a second person, who runs: vitrine approve seal-{kept}",
    )
    code, said = await restored.vitrine(ANNA, "approve", f"seal-{kept}")
    assert code == 1, "nobody agrees with themselves"
    assert await restored.kept() == kept

    await restored.vitrine(ANNA, "forget-seal-head", kept + 5, "--reason", "a slip")
    code, said = await restored.vitrine(BORIS, "approve", f"seal-{kept + 5}")
    assert (code, said.startswith("seal head stays: ")) == (0, True), said
    assert await restored.kept() == kept, "another head than the one that was named"

    code, said = await restored.vitrine(BORIS, "approve", f"seal-{kept}")
    assert (code, said.startswith("seal head forgotten: ")) == (0, True), said
    await drain(restored.agree, what="the ledger's own head is kept")
    assert await restored.broken() == ()
    await restored.more()
    await drain(restored.agree, what="the next head is kept too")

    _, story = await restored.vitrine(ANNA, "find", f"seal-{kept}")
    for told in (ANNA, BORIS, "restored", "needs_second_person", "agreed", "done"):
        assert told in story, story


async def test_a_head_that_agrees_and_one_that_is_not_kept_stay(restored):
    kept = await restored.kept()

    for number in (kept, kept + 5):
        code, _ = await restored.vitrine(ANNA, "forget-seal-head", number, "--reason", "why")
        assert code == 1
        code, said = await restored.vitrine(BORIS, "approve", f"seal-{number}")
        assert (code, said.startswith("seal head stays: ")) == (0, True), said

    assert await restored.kept() == kept
    assert await restored.broken() == ()


async def test_what_it_would_do_is_told_and_not_done(restored):
    kept = await restored.kept()

    code, said = await restored.vitrine(
        ANNA, "forget-seal-head", kept, "--reason", "why", "--dry-run"
    )

    assert (code, said) == (1, "it would be refused: needs_second_person")
    assert await restored.kept() == kept


async def test_nobody_approves_what_was_never_asked(restored):
    code, said = await restored.vitrine(BORIS, "approve", "seal-2")

    assert (code, said[:17]) == (1, "nobody asked for ")


async def _is(found, wanted):
    return await found == wanted
