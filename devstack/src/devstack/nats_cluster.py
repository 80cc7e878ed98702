"""Three nats-servers that are one, for tests of what only a cluster does."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from devstack.nats_server import ACCOUNTS_FILE, nats_binary
from devstack.processes import ChildProcess
from devstack.testing import free_port, scratch_folder

CONFIGURATION = """\
server_name: n{number}
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{store}", max_file: 100GB }}
cluster {{ name: c, listen: "127.0.0.1:{route}", routes: [{routes}] }}
"""


class NatsCluster:
    """Its servers by name, and the addresses of all of them."""

    def __init__(self, folder: Path, accounts: Callable[[], str] | None) -> None:
        self._folder = folder
        self._accounts = accounts
        self._ports = {f"n{number}": free_port() for number in range(3)}
        self.servers: dict[str, ChildProcess] = {}

    def url(self, first: str = "n0") -> str:
        """Of every server, beginning with one."""
        names = sorted(self._ports, key=lambda name: (name != first, name))
        return ",".join(f"nats://127.0.0.1:{self._ports[name]}" for name in names)

    def start(self) -> None:
        self._write_accounts()
        meeting = {name: free_port() for name in self._ports}
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in meeting.values())
        for number, (name, port) in enumerate(self._ports.items()):
            path = self._folder / f"{name}.conf"
            text = CONFIGURATION.format(
                number=number,
                port=port,
                route=meeting[name],
                routes=routes,
                store=self._folder / name,
            )
            path.write_text(text + (f"include {ACCOUNTS_FILE}\n" if self._accounts else ""))
            command = [str(nats_binary()), "-c", str(path)]
            self.servers[name] = ChildProcess(name, command, output=self._folder / "log")
        for server in self.servers.values():
            server.start()

    def reload(self, name: str) -> None:
        """Let one server read who may do what anew."""
        self._write_accounts()
        self.servers[name].send(signal.SIGHUP)

    def _write_accounts(self) -> None:
        if self._accounts is not None:
            (self._folder / ACCOUNTS_FILE).write_text(self._accounts())

    async def kill(self) -> None:
        for server in self.servers.values():
            await server.kill9()


@asynccontextmanager
async def nats_cluster(accounts: Callable[[], str] | None = None) -> AsyncIterator[NatsCluster]:
    """Three servers. `accounts`: their `accounts` block, asked at the start and at every reload."""
    with scratch_folder() as folder:
        cluster = NatsCluster(folder, accounts)
        try:
            cluster.start()
            yield cluster
        finally:
            await cluster.kill()
