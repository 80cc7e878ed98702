"""What the figures of VPN access share: real nodes with certificates, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

from devstack.testing import scratch_folder
from devstack.v2ray import MISSING, find_v2ray
from simulators.vless_node import probe
from simulators.vless_node.node import RealNode, real_node
from vpn.agent.pki import CONTROL, Pki

REGION = "eu"
POLL_SECONDS = 0.003
"""Between two attempts of a client that waits for its access: what a figure may be too large by."""
CHANGE_SECONDS_MAX = 20.0


def core() -> str:
    """The real core. Without it there is nothing to measure."""
    found = find_v2ray()
    if found is None:
        raise SystemExit(MISSING)
    return found


@asynccontextmanager
async def nodes(*names: str) -> AsyncIterator[tuple[Path, list[RealNode]]]:
    """Nodes under agents of their own, quiet and ready; with the folder of their certificates."""
    quiet = {"VPN_AGENT_LOG_LEVEL": "warning"}
    binary = core()
    with scratch_folder() as folder:
        authority = Pki(folder / "pki")
        authority.init()
        authority.control()
        async with AsyncExitStack() as stack:
            opened = []
            for name in names:
                authority.node(name)
                one = real_node(
                    name, folder / name, pki=authority.folder, core=binary, settings=quiet
                )
                opened.append(await stack.enter_async_context(one))
            yield authority.folder, opened


def nodes_file(pki: Path, nodes: Sequence[RealNode]) -> dict[str, object]:
    """Write what the vpn service is told of the nodes; return its settings about them."""
    path = pki / "nodes.toml"
    path.write_text(
        "".join(
            f'[[nodes]]\nname = "{each.name}"\nregion = "{REGION}"\nurl = "{each.url}"\n'
            f'[nodes.link]\naddress = "127.0.0.1"\nport = {each.vless_port}\n'
            for each in nodes
        )
    )
    return {
        "nodes_file": path,
        "nodes_certificate": pki / f"{CONTROL}.crt",
        "nodes_key": pki / f"{CONTROL}.key",
        "nodes_ca": pki / "ca.crt",
    }


async def until_everywhere(
    nodes: Sequence[RealNode], key: UUID, target_port: int, *, passes: bool
) -> None:
    """Return when a key passes on every node, or on none of them any more."""

    async def here(node: RealNode) -> None:
        while await probe.passes(node.params(key), target_port) is not passes:  # noqa: ASYNC110 - nothing tells a client
            await asyncio.sleep(POLL_SECONDS)

    async with asyncio.timeout(CHANGE_SECONDS_MAX):
        await asyncio.gather(*(here(node) for node in nodes))


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await work()
    return loop.time() - began
