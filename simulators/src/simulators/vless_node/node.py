"""A node on loopback: the agent as a process of its own, with the real core under it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from uuid import UUID

from simulators.ports import free_port
from simulators.vless_node.params import VlessParams

READY_SECONDS = 60.0
STOP_SECONDS = 60.0


class RealNode:
    """`pki` holds `<name>.crt`, `<name>.key` and `ca.crt`, as `vpn-agent pki` writes them."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        pki: Path,
        core: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self.vless_port = free_port()
        self.health_port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.log = folder / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "VPN_AGENT_NODE": name,
            "VPN_AGENT_STATE_FOLDER": str(folder / "state"),
            "VPN_AGENT_LISTEN_HOST": "127.0.0.1",
            "VPN_AGENT_LISTEN_PORT": str(self.port),
            "VPN_AGENT_HEALTH_PORT": str(self.health_port),
            "VPN_AGENT_CERTIFICATE": str(pki / f"{name}.crt"),
            "VPN_AGENT_KEY": str(pki / f"{name}.key"),
            "VPN_AGENT_CA": str(pki / "ca.crt"),
            "VPN_AGENT_CORE_BINARY": core,
            "VPN_AGENT_VLESS_HOST": "127.0.0.1",
            "VPN_AGENT_VLESS_PORT": str(self.vless_port),
            "VPN_AGENT_ALLOW_PRIVATE_TARGETS": "true",
            "VPN_AGENT_LOG_FORMAT": "json",
            **(settings or {}),
        }

    def params(self, key: UUID) -> VlessParams:
        """How a client with this key reaches the node."""
        return VlessParams("127.0.0.1", self.vless_port, key)

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the agent does; its core may live without it."""
        return self._process is not None and self._process.poll() is None

    def start(self, **settings: str) -> None:
        """Start the agent; `wait_ready` tells when it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._environment.update(settings)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "vpn.agent"],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    async def wait_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        async with asyncio.timeout(timeout_seconds):
            while not await asyncio.to_thread(self._answers, "/readyz"):
                assert self._process is not None
                if self._process.poll() is not None:
                    raise RuntimeError(f"the agent ended: {self.log.read_text()[-2000:]}")
                await asyncio.sleep(0.02)

    def _answers(self, path: str) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    async def terminate(self) -> int:
        """Stop the agent as an upgrade would; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, STOP_SECONDS)

    async def kill(self) -> None:
        """End the agent as a crash would; the core lives on."""
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait, STOP_SECONDS)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def core_pids(self) -> list[int]:
        """The core processes of this node, whoever started them."""
        wanted = str((self.folder / "state").resolve() / "core.json").encode()
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError, IndexError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if words[1] == b"-config" and words[2] == wanted:
                    found.append(int(folder.name))
        return found

    async def kill_core(self) -> None:
        """End the core as a crash would; the agent, if it runs, starts another."""
        for pid in self.core_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def close(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            await self.kill()
        await self.kill_core()


@asynccontextmanager
async def real_node(
    name: str,
    folder: Path,
    *,
    pki: Path,
    core: str = "",
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[RealNode]:
    """A node that is ready to serve, ended with the block."""
    node = RealNode(name, folder, pki=pki, core=core, settings=settings)
    try:
        node.start()
        await node.wait_ready()
        yield node
    finally:
        await node.close()
