"""`make up` with three small children instead of the simulators and the five services."""

import sys
from pathlib import Path

from devstack.__main__ import up
from devstack.children import Child, Platform, port_of, prefixed
from devstack.settings import Settings

CHILD = str(Path(__file__).with_name("toy_child.py"))
MIGRATE = """
import asyncio, asyncpg, sys

async def main(dsn):
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS starts (at timestamptz DEFAULT now())")
    await connection.execute("INSERT INTO starts DEFAULT VALUES")

asyncio.run(main(sys.argv[1]))
"""
FAIL = "print('no such column'); raise SystemExit(4)"
NATS = """
import asyncio, nats, pathlib, sys
from devstack import nats_security

async def main(url, state):
    known = nats_security.identity(pathlib.Path(state))
    client = await nats.connect(url, **nats_security.options(known))
    await client.jetstream().add_stream(name="TOY", subjects=["toy.>"], max_bytes=1 << 20)
    await client.close()

asyncio.run(main(*sys.argv[1:]))
"""


def toy(settings, urls, passwords):
    state = str(settings.state_dir)
    migrate = FAIL if "--failing-migration" in sys.argv else MIGRATE
    return Platform(
        stand_ins=[serving("telegram", urls.telegram_api)],
        bootstrap=Child("bootstrap", (sys.executable, "-c", NATS, urls.nats, state)),
        services=[
            serving(
                "billing",
                urls.health["billing"],
                migrate_command=(sys.executable, "-c", migrate, urls.database),
                environment=prefixed("billing", {"DATABASE_URL": urls.database}),
            )
        ],
    )


def serving(name, url, **more):
    return Child(name, (sys.executable, CHILD, port_of(url)), ready_url=f"{url}/readyz", **more)


if __name__ == "__main__":
    sys.exit(up(Settings.from_environment(), toy))
