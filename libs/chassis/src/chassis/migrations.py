"""Plain SQL migrations: numbered up and down files, one version table, one advisory lock."""

from __future__ import annotations

import asyncio
import hashlib
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec

from chassis import logs, scram
from chassis.database import CONNECT_TIMEOUT_SECONDS, NOT_A_URL, UNAVAILABLE, Connection
from chassis.errors import ConfigurationError
from chassis.table_rights import TableRights

log = logs.get("chassis.migrations")
RUNTIME_FOLDER = Path(__file__).parent / "migrations_runtime"
_FILE = re.compile(r"(?P<number>\d{4})_(?P<phase>pre|post)_(?P<name>\w+)\.up\.sql")
PRE = "pre"
"""What the release before can live with: no `post` step is run, and no right is taken."""
ALL = "all"
"""The rest as well: when no other release is at work, and nobody wants to go back to one."""
LOCK_TIMEOUT = "5s"
"""A migration that cannot get its lock gives up instead of queueing everybody behind it."""
PATIENCE_SECONDS = 300.0
"""So long Postgres is waited for: half of what the chart gives a Job (jobs.deadlineSeconds)."""
RETRY_SECONDS = 1.0


class Migration(msgspec.Struct, frozen=True):
    """One step. `pre` runs before the new code is rolled out, `post` after the old one is gone.

    No `pre` step needs a `post` step before it: that one may still wait.
    """

    key: str
    phase: str
    up: str
    down: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.up.encode()).hexdigest()


def read(folder: Path, prefix: str) -> list[Migration]:
    """Read a folder's steps in order; raise ConfigurationError on a gap or a missing down."""
    steps: list[Migration] = []
    for path in sorted(folder.glob("*.up.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise ConfigurationError(f"{path.name}: not NNNN_pre_name.up.sql")
        down = path.with_name(path.name.replace(".up.", ".down."))
        if not down.exists():
            raise ConfigurationError(f"{path.name} has no {down.name}")
        if int(match["number"]) != len(steps) + 1:
            raise ConfigurationError(f"{path.name}: number {len(steps) + 1:04} is missing")
        key = f"{prefix}/{path.name.removesuffix('.up.sql')}"
        steps.append(Migration(key, match["phase"], path.read_text(), down.read_text()))
    return steps


def steps_of(folder: Path) -> list[Migration]:
    """The runtime's steps, then the service's own."""
    return [*read(RUNTIME_FOLDER, "runtime"), *read(folder, "service")]


def role_of(dsn: str) -> str:
    """The role that a URL logs in as."""
    return unquote(urlsplit(dsn).username or "")


async def _connected(dsn: str, schema: str, **options: Any) -> asyncpg.Connection[Any]:
    """Wait for Postgres, saying so once for each reason; end the process when it does not come.

    Nothing catches that: a migration is a process of its own, and its last line is what Helm shows.
    """
    connection = await _tried(dsn, schema, options)
    if not isinstance(connection, str):
        return connection
    with _asked_to_end() as ended:
        return await _waited(dsn, schema, options, ended, reason=connection)


async def _tried(dsn: str, schema: str, options: dict[str, Any]) -> asyncpg.Connection[Any] | str:
    """A connection, or why there is none yet."""
    try:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            dsn, timeout=CONNECT_TIMEOUT_SECONDS, **options
        )
    except UNAVAILABLE as error:
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            raise SystemExit(f"{schema}: {NOT_A_URL}") from None  # its text has the password
        return str(error) or type(error).__name__
    except ValueError:
        raise SystemExit(f"{schema}: {NOT_A_URL}") from None
    return connection


async def _waited(
    dsn: str, schema: str, options: dict[str, Any], ended: asyncio.Event, *, reason: str
) -> asyncpg.Connection[Any]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    where, told = _address(dsn), ""
    while True:
        waited = loop.time() - began
        if waited >= PATIENCE_SECONDS or ended.is_set():
            raise SystemExit(
                f"{schema}: nothing was migrated: {where} could not be used for "
                f"{waited:.0f} s: {reason}"
            )
        if reason != told:
            told = reason
            sys.stderr.write(f"{schema}: waiting for {where}: {reason}\n")
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await ended.wait()
        connection = await _tried(dsn, schema, options)
        if not isinstance(connection, str):
            return connection
        reason = connection


@contextmanager
def _asked_to_end() -> Iterator[asyncio.Event]:
    """SIGTERM, for one: the Job's own deadline may be shorter than our patience."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield ended  # signals are the main thread's alone
        return
    before = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    try:
        yield ended
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


def _address(dsn: str) -> str:
    """Name the server, unless what looks like it may be the end of a password with # / or ?."""
    try:
        place = urlsplit(dsn).netloc
    except ValueError:
        return "Postgres"
    rest = dsn[dsn.find(place) + len(place) :]
    host = "" if "@" in rest or "#" in rest else place.rpartition("@")[2]
    return f"Postgres at {host}" if host else "Postgres"


async def provision(admin_dsn: str, *, role_dsn: str, schema: str) -> None:
    """Make database, role and schema where missing. Needs a role that may create them."""
    role, password = role_of(role_dsn), unquote(urlsplit(role_dsn).password or "")
    if not role:
        raise ConfigurationError("the service's database URL names no role")
    connection = await _connected(admin_dsn, schema)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('vitrine:provision'))")
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if known else "CREATE"
            # Statements are logged and shown by pg_stat_activity: none may hold the password.
            secret = f"'{scram.verifier(password)}'" if password else "NULL"
            name = await connection.fetchval("SELECT quote_ident($1::text)", role)
            await connection.execute(f"{verb} ROLE {name} LOGIN PASSWORD {secret}")
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            await connection.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO {name}')
            # Table by table the migrations say what is needed; earlier releases gave it all here.
            await connection.execute(
                f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" REVOKE ALL ON TABLES FROM {name}'
            )
            await connection.execute(
                f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT USAGE ON SEQUENCES TO {name}'
            )
    finally:
        await connection.close()


async def migrate(
    dsn: str,
    *,
    schema: str,
    folder: Path,
    target: int | None = None,
    phase: str = ALL,
    role: str = "",
) -> list[str]:
    """Bring the schema to `target` applied steps (None: all; lower: down). Return what was done.

    `phase`: PRE or ALL; what PRE leaves is returned too, as "waits …". `role`: the service's own,
    which is given its rights on the tables; what ALL could not take of others is returned, as
    "… may still …". Raises ConfigurationError when an applied file was edited afterwards, or
    rights are given on a table that is not there.
    """
    steps = steps_of(folder)
    rights = TableRights.read(role, RUNTIME_FOLDER, folder) if role else None
    revoke = phase != PRE
    connection = await _connected(dsn, schema, server_settings={"search_path": schema})
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"{schema}:migrate")
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (number integer PRIMARY KEY, "
            "key text NOT NULL UNIQUE, digest text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = await connection.fetch("SELECT key, digest FROM schema_version")
        applied = {row["key"]: row["digest"] for row in rows}
        _check(steps, applied)
        pending = [step for step in steps[:target] if step.key not in applied]
        # In an empty schema no release is at work that could need what a post step takes.
        left = [step for step in pending if phase == PRE and applied and step.phase != PRE]
        done = await _up(connection, [step for step in pending if step not in left], rights)
        extra = steps[target:] if target is not None else []
        done += await _down(connection, [step for step in extra if step.key in applied])
        done += [f"waits {step.key}" for step in left]
        if rights is not None:
            if target is None and not left and applied.keys() <= {step.key for step in steps}:
                await rights.check(connection)
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                kept = await rights.apply(connection, revoke=revoke)
            done += [f"waits {each}" for each in kept]
            done += await rights.still(connection) if revoke else []
        return done
    finally:
        await connection.close()


def _check(steps: list[Migration], applied: dict[str, str]) -> None:
    """By key, not by place: the runtime gets steps after a service has steps of its own."""
    for step in steps:
        if applied.get(step.key, step.digest) != step.digest:
            raise ConfigurationError(f"{step.key} was applied with other content than it has now")


async def _up(
    connection: Connection, steps: list[Migration], rights: TableRights | None
) -> list[str]:
    done = []
    for step in steps:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(step.up)
            await connection.execute(
                "INSERT INTO schema_version (number, key, digest) "
                "SELECT coalesce(max(number), 0) + 1, $1, $2 FROM schema_version",
                step.key,
                step.digest,
            )
            if rights is not None:
                # With the step: a service that sees it applied may use its tables.
                await rights.apply(connection, revoke=False)
        done.append(f"up {step.key}")
    return done


async def _down(connection: Connection, steps: list[Migration]) -> list[str]:
    done = []
    for step in reversed(steps):
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(step.down)
            await connection.execute("DELETE FROM schema_version WHERE key = $1", step.key)
        done.append(f"down {step.key}")
    return done


async def missing(connection: Connection, folder: Path) -> str | None:
    """Say which `pre` step the schema still lacks, or None: a readiness check."""
    try:
        rows = await connection.fetch("SELECT key FROM schema_version")
    except asyncpg.UndefinedTableError:
        return "the schema has not been migrated"
    except asyncpg.InsufficientPrivilegeError:
        return "the role may not read the schema yet"
    have = {row["key"] for row in rows}
    for step in steps_of(folder):
        if step.phase == "pre" and step.key not in have:
            return f"the schema lacks {step.key}"
    return None
