"""A release of the chart in a namespace of its own, on the cluster KUBECONFIG names; for tests."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.chart import CHART
from devstack.kubernetes_tools import Tools, ToolsMissingError, tools

RELEASE = "vitrine"
SERVICES = ("gateway", "billing", "generator-simulated", "vpn", "scheduler")
SERVICE_PODS = "vitrine/service"
VERSION_MIN = (1, 30)
COMMAND_SECONDS_MAX = 900.0
POLL_SECONDS = 1.0
FORWARDING = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+)")


class ClusterError(Exception):
    """A command failed, or the cluster lacks what the tests need; the sentence says which."""


async def command(*words: str, stdin: str = "", check: bool = True) -> str:
    """Run a program to its end; returns what it wrote, both streams. Raises ClusterError."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(COMMAND_SECONDS_MAX):
        written, _ = await process.communicate(stdin.encode())
    text = written.decode(errors="replace")
    if check and process.returncode:
        raise ClusterError(f"{' '.join(words[:6])}… ended with {process.returncode}:\n{text}")
    return text


async def eventually(
    true: Callable[[], Awaitable[bool]], what: str, seconds_max: float = 180.0
) -> None:
    deadline = time.monotonic() + seconds_max
    while not await true():
        if time.monotonic() > deadline:
            raise ClusterError(f"not within {seconds_max:g} s: {what}")
        await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Cluster:
    """`kubectl` and `helm`, bound to one namespace."""

    namespace: str
    tools: Tools
    values: Sequence[str] = field(default=())
    """Arguments of every install and upgrade."""

    async def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> str:
        return await command(
            str(self.tools.kubectl), "--namespace", self.namespace, *words, stdin=stdin, check=check
        )

    async def get(self, *words: str) -> Any:
        return json.loads(await self.kubectl("get", *words, "--output", "json"))

    async def helm(self, *words: str, check: bool = True) -> str:
        return await command(
            str(self.tools.helm), *words, "--namespace", self.namespace, check=check
        )

    async def upgrade(self, *words: str, check: bool = True, seconds_max: int = 300) -> str:
        """Install or upgrade, and wait until everything is ready."""
        wait = ("--install", "--wait", "--timeout", f"{seconds_max}s")
        # A number of pods that a scaler wrote would else refuse the one the chart says.
        given = (
            *("upgrade", RELEASE, str(CHART), "--force-conflicts"),
            *(*wait, *self.values, *words),
        )
        try:
            return await self.helm(*given, check=check)
        except ClusterError as error:
            raise ClusterError(f"{error}\n{await self.look()}") from error

    async def look(self) -> str:
        """What somebody would look at first."""
        pods = await self.kubectl("get", "pods", "--output", "wide", check=False)
        events = await self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)
        return f"{pods}\n{events[-4_000:]}"

    async def pods(self, selector: str = SERVICE_PODS) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("pods", "--selector", selector))["items"]
        return found

    async def pod_of(self, service: str) -> str:
        """One that is ready and stays: scaling may be taking others away."""
        await self.settled()
        found = await self.pods(f"app.kubernetes.io/component={service}")
        return next(
            f"pod/{each['metadata']['name']}"
            for each in found
            if "deletionTimestamp" not in each["metadata"]
        )

    async def nodes(self) -> list[str]:
        """Those that take pods like ours."""
        return [
            node["metadata"]["name"]
            for node in (await self.get("nodes"))["items"]
            if not node["spec"].get("unschedulable")
            and not any(
                taint["effect"] != "PreferNoSchedule" for taint in node["spec"].get("taints", [])
            )
        ]

    async def names_of_pods(self) -> set[str]:
        """Those of the services that are not on their way out."""
        found = [pod["metadata"] for pod in await self.pods()]
        return {each["name"] for each in found if "deletionTimestamp" not in each}

    async def execute(self, target: str, *words: str, stdin: str = "", check: bool = True) -> str:
        quiet = ("exec", "--quiet", "--stdin", target, "--")
        return await self.kubectl(*quiet, *words, stdin=stdin, check=check)

    async def python(self, target: str, program: str, check: bool = True) -> str:
        """Run a program with a pod's own rights; returns what it printed."""
        return await self.execute(target, "python", "-", stdin=program, check=check)

    async def rows(self, query: str) -> list[list[str]]:
        """Ask the platform's database, as nobody but its administrator may."""
        written = await self.execute(
            f"statefulset/{RELEASE}-postgres",
            *("sh", "-c", 'PGPASSWORD="$(cat /etc/vitrine/postgres/password)" exec "$@"', "-"),
            *("psql", "--host=127.0.0.1", "--username=postgres", "--dbname=vitrine"),
            *("--no-align", "--tuples-only", "--field-separator=|", "--command", query),
        )
        return [line.split("|") for line in written.splitlines() if line]

    @asynccontextmanager
    async def forward(self, target: str, port: int) -> AsyncIterator[int]:
        """Forward a local port to a pod's or service's; yields it."""
        process = await asyncio.create_subprocess_exec(
            *(
                self.tools.kubectl,
                "--namespace",
                self.namespace,
                "port-forward",
                target,
                f":{port}",
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(30):
                said = await process.stdout.readline()
            if (found := FORWARDING.match(said)) is None:
                raise ClusterError(f"no port forward to {target}:{port}")
            yield int(found[1])
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def settled(self) -> None:
        """Every service's pods are ready, and as many as wanted."""

        async def ready() -> bool:
            items = (await self.get("deployments", "--selector", SERVICE_PODS))["items"]
            return bool(items) and all(
                each["status"].get("readyReplicas", 0) == each["spec"]["replicas"]
                and each["status"].get("updatedReplicas", 0) == each["spec"]["replicas"]
                for each in items
            )

        await eventually(ready, f"all pods ready\n{await self.look()}")


async def version(kubectl: Path) -> tuple[int, int]:
    """The API server's. Raises ClusterError when it does not answer."""
    asked = ("version", "--output", "json", "--request-timeout=10s")
    server = json.loads(await command(str(kubectl), *asked)).get("serverVersion")
    if server is None:
        raise ClusterError("the cluster of KUBECONFIG does not answer")
    return int(server["major"]), int(re.sub(r"\D", "", server["minor"]))


async def connected(namespace: str, values: Sequence[str]) -> Cluster:
    """Check what the tests need, in one sentence each. Raises ClusterError."""
    try:
        found = tools()
    except ToolsMissingError as error:
        raise ClusterError(str(error)) from None
    if (served := await version(found.kubectl)) < VERSION_MIN:
        raise ClusterError(f"Kubernetes {served} is older than {VERSION_MIN}")
    asked = ("auth", "can-i", "create", "namespaces")
    may = await command(str(found.kubectl), *asked, check=False)
    if may.split()[-1:] != ["yes"]:
        raise ClusterError("who KUBECONFIG says we are may not create namespaces")
    return Cluster(namespace, found, values)


async def keys(namespace: str) -> str:
    """Secrets and certificates as `vitrine keys` makes them."""
    vitrine = Path(sys.executable).with_name("vitrine")
    return await command(str(vitrine), "keys", "--namespace", namespace)
