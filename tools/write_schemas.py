"""Write services/<service>/schema.sql from the migrations; `make schemas` runs it."""

from __future__ import annotations

import asyncio
import sys

from devstack.postgres import postgres_binaries
from devstack.testing import create_database, private_postgres
from vitrine_tools.schemas import SERVICES, committed, dump


async def main() -> None:
    async with private_postgres() as postgres:
        for service in SERVICES:
            dsn = await create_database(postgres)
            text = await dump(service, dsn, postgres_binaries() / "pg_dump")
            committed(service).write_text(text, encoding="utf-8")
            sys.stdout.write(
                f"{committed(service).name} of {service}: {text.count(chr(10))} lines\n"
            )


if __name__ == "__main__":
    asyncio.run(main())
