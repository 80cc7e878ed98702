"""The real core, an authority for the tests, and nodes under the real agent."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chassis.clock import SystemClock
from devstack.testing import scratch_folder
from devstack.v2ray import MISSING, find_v2ray
from simulators.vless_node.client import VlessClient, vless_client
from simulators.vless_node.node import RealNode, real_node
from simulators.vless_node.target import Target
from vpn.adapters.nodes.agent import AgentNode
from vpn.agent.pki import Pki
from vpn.agent.testing import NODE, Control, tls_files
from vpn.domain.desired import Entry

Opener = Callable[[Entry], Awaitable[VlessClient]]


@pytest.fixture(scope="session")
def v2ray() -> str:
    """The real core. In CI its absence is a failure, elsewhere a skip that says so."""
    if (found := find_v2ray()) is not None:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as path:
        yield path


@pytest.fixture
def pki(folder: Path) -> Pki:
    authority = Pki(folder / "pki")
    authority.init()
    authority.node(NODE)
    authority.control()
    return authority


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def target(stack: AsyncExitStack) -> Target:
    server = Target()
    await server.start()
    stack.push_async_callback(server.stop)
    return server


@pytest.fixture
async def node(stack: AsyncExitStack, folder: Path, pki: Pki, v2ray: str) -> RealNode:
    return await stack.enter_async_context(
        real_node(NODE, folder / NODE, pki=pki.folder, core=v2ray)
    )


@pytest.fixture
async def control(stack: AsyncExitStack, node: RealNode, pki: Pki) -> Control:
    driver = AgentNode(NODE, node.url, tls_files(pki), SystemClock())
    stack.push_async_callback(driver.close)
    return Control(driver)


@pytest.fixture
def opened(stack: AsyncExitStack, node: RealNode, v2ray: str, target: Target) -> Opener:
    """Starts a client with an entry's key; it ends with the test."""

    async def start(one: Entry) -> VlessClient:
        return await stack.enter_async_context(
            vless_client(node.params(one.key), v2ray=v2ray, target=target)
        )

    return start
