"""A shop whose services are replaced one after another by another release, while people order."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from devstack import children
from devstack.children import Child
from devstack.errors import StartError
from devstack.health import answers_ok
from devstack.nats_server import NatsServer
from devstack.ports import LOOPBACK, free_port
from devstack.processes import ChildProcess
from devstack.settings import REPOSITORY, Passwords, Settings
from devstack.stage import Stage, free_port_base
from devstack.testing import create_database, private_nats, private_postgres, scratch_folder
from devstack.urls import plan

LAST_RELEASE = os.environ.get("VITRINE_LAST_RELEASE", "438a529")
"""«VPN and time», the newest that is out."""
READY_SECONDS = 60.0
GRACE_SECONDS = 25.0
STAND_INS = ("telegram", "comfyui", "crypto_pay", "yookassa")
# In a pod each has an address of its own; here two releases share one.
OWN_PORTS = ("HEALTH_PORT", "WEBHOOK_PORT", "LINKS_PORT")
BOOTSTRAP = "bootstrap"
ALONE = frozenset({"generator"})
"""Held by a lease: the next one starts when the last has ended, as a Deployment with Recreate."""


def _nothing(_: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Release:
    """Some state of the repository, and what its processes are told besides."""

    name: str
    root: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """Without a service's prefix."""
    of_user: Callable[[str], Mapping[str, str]] = _nothing
    """The same, of one service or of bootstrap."""

    def environment(self, child: Child) -> dict[str, str]:
        """The child's, with this release's code in front of what is installed."""
        sources = [*self.root.glob("libs/*/src"), *self.root.glob("services/*/src")]
        own = {
            f"{child.name.upper()}_{name}": value
            for name, value in {
                "CATALOGUE_DIR": str(self.root / "catalogue"),
                "OTLP_ENDPOINT": "",
                "MIGRATION_PHASE": "pre",  # as the chart's Jobs
                **self.settings,
                **self.of_user(child.name),
            }.items()
        }
        if child.name == BOOTSTRAP:  # it alone has no prefix
            own |= self.of_user(child.name)
        path = os.pathsep.join(str(source) for source in sorted(sources))
        return {**os.environ, **child.environment, **own, "PYTHONPATH": path}


def unpacked(commit: str, folder: Path) -> Release | None:
    """That commit's files; None where git does not know it (a shallow clone, an archive)."""
    archive = folder / "release.tar"
    done = subprocess.run(
        ["git", "archive", f"--output={archive}", commit, "libs", "services", "catalogue"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        return None
    root = folder / commit
    root.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", root], check=True)
    return Release(commit, root)


class RollingShop:
    """Servers and stand-ins that stay, and services that come and go."""

    def __init__(
        self, stage: Stage, nats: NatsServer, bootstrap: Child, services: Mapping[str, Child]
    ) -> None:
        self.stage = stage
        self.nats = nats
        self.names = tuple(services)
        self.running: dict[str, list[tuple[Release, ChildProcess]]] = {}
        self._bootstrap = bootstrap
        self._services = services

    async def prepare(self, release: Release) -> None:
        """What the chart's Jobs do before the pods, in that order: schemas, then streams."""
        for child in self._services.values():
            if child.migrate_command:
                await self._once(child, child.migrate_command, release)
        await self._once(self._bootstrap, self._bootstrap.command, release)

    async def _once(self, child: Child, command: Sequence[str], release: Release) -> None:
        name = f"{child.name} of {release.name}"
        process = ChildProcess(
            name,
            command,
            environment=release.environment(child),
            folder=release.root,
            output=self.stage.folder / f"{name}.log",
        )
        await process.run()

    async def start(self, name: str, release: Release) -> ChildProcess:
        """Start one more process of a service, until it is ready."""
        child = self._services[name]
        environment = release.environment(child)
        for each in OWN_PORTS:
            if (variable := f"{name.upper()}_{each}") in environment:
                environment[variable] = str(free_port())
        process = ChildProcess(
            f"{name} of {release.name}",
            child.command,
            environment=environment,
            folder=release.root,
            output=self.stage.folder / f"{name} of {release.name}.log",
        )
        process.start()
        self.running.setdefault(name, []).append((release, process))
        ready = f"http://{LOOPBACK}:{environment[f'{name.upper()}_HEALTH_PORT']}/readyz"
        await process.wait_ready(lambda: answers_ok(ready), READY_SECONDS)
        return process

    async def stop_first(self, name: str) -> None:
        """End the oldest process of a service, in order; StartError when it has to be killed."""
        release, process = self.running[name].pop(0)
        await process.terminate(GRACE_SECONDS)
        if process.returncode != 0:
            said = (self.stage.folder / f"{name} of {release.name}.log").read_text()[-4000:]
            raise StartError(f"{name} of {release.name} ended with {process.returncode}:\n{said}")

    async def replace(self, name: str, release: Release, side_by_side: asyncio.Event) -> None:
        """Roll one service; both releases work until `side_by_side` is set."""
        if name in ALONE:
            await self.stop_first(name)
            await self.start(name, release)
            return
        await self.start(name, release)
        await side_by_side.wait()
        await self.stop_first(name)

    async def stop(self) -> None:
        processes = [process for each in self.running.values() for _, process in each]
        await asyncio.gather(*(process.terminate(GRACE_SECONDS) for process in processes))


@asynccontextmanager
async def rolling_shop() -> AsyncIterator[RollingShop]:
    """Servers without TLS and users, which releases before «Kubernetes» do not know."""
    with scratch_folder() as folder:
        async with private_postgres() as postgres, private_nats() as nats:
            database = await create_database(postgres)
            settings = Settings(
                state_dir=folder,
                port_base=free_port_base(),
                database_url=database,
                nats_url=nats.url,
            )
            urls = plan(settings, database)
            known = children.platform(settings, urls, Passwords(folder / "passwords.json"))
            helpers = [
                ChildProcess(
                    each.name,
                    each.command,
                    environment={**os.environ, **each.environment},
                    output=folder / f"{each.name}.log",
                )
                for each in known.stand_ins
                if each.name in STAND_INS
            ]
            for helper in helpers:
                helper.start()
            async with aiohttp.ClientSession() as session:
                stage = Stage(urls.as_json(), os.getpid(), session, folder)
                services = {each.name: each for each in known.services}
                shop = RollingShop(stage, nats, known.bootstrap, services)
                try:
                    yield shop
                finally:
                    await shop.stop()
                    await asyncio.gather(*(helper.terminate() for helper in helpers))
