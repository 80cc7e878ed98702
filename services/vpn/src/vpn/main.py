"""The composition root of the vpn service."""

from __future__ import annotations

import sys
from pathlib import Path

from chassis.service import Service, migrate_main, run_main
from vpn import consumers
from vpn.settings import Settings

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SCHEMA = "vpn"


async def run(settings: Settings) -> None:
    """Run the service until it is stopped."""
    async with Service.start("vpn", settings) as service:
        database = await service.database(schema=SCHEMA, folder=MIGRATIONS)
        outbox = await service.outbox(database)
        service.consume(outbox, *consumers.table())
        await service.until_stopped()


def main() -> None:
    """Run `vpn` or `vpn migrate`."""
    if sys.argv[1:] == ["migrate"]:
        migrate_main(Settings, schema=SCHEMA, folder=MIGRATIONS)
    else:
        run_main(run, Settings)
