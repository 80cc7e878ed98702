"""What a migrated schema looks like, as pg_dump tells it: the committed schema.sql of a service."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from chassis import migrations

ROOT = Path(__file__).parents[3]
SERVICES = ("billing", "gateway", "scheduler", "vpn")
# What differs between two dumps of one schema: versions, a nonce, and who dumped.
_NOISE = re.compile(
    r"^(--.*|\\(un)?restrict .*|SET .*|SELECT pg_catalog\.set_config.*)$", re.MULTILINE
)


def committed(service: str) -> Path:
    return ROOT / "services" / service / "schema.sql"


def folder(service: str) -> Path:
    return ROOT / "services" / service / "migrations"


async def dump(service: str, dsn: str, pg_dump: Path) -> str:
    """Migrate an empty database and return its schema, without partitions and without noise."""
    await migrations.migrate(dsn, schema=service, folder=folder(service))
    process = await asyncio.create_subprocess_exec(
        *(str(pg_dump), "--schema-only", "--no-owner", "--no-privileges"),
        *(f"--schema={service}", f"--exclude-table={service}.inbox_*"),
        *(f"--exclude-table={service}.outbox_*", dsn),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"pg_dump ended with {process.returncode}")
    plain = _NOISE.sub("", output.decode())
    return re.sub(r"\n{2,}", "\n\n", plain).strip() + "\n"
