"""The real core, an authority for the tests, and nodes under the real agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from chassis.clock import SystemClock
from devstack.programs import needed
from devstack.testing import run_blocking, scratch_folder
from devstack.v2ray import MISSING, find_v2ray
from simulators.vless_node.client import VlessClient, vless_client
from simulators.vless_node.load_core import V2RAY, XRAY, LoadCore
from simulators.vless_node.node import RealNode, real_node
from simulators.vless_node.target import Target
from vpn.adapters.nodes.agent import AgentNode
from vpn.agent import current
from vpn.agent.pki import Pki
from vpn.agent.testing import NODE, Bench, Control, tls_files
from vpn.domain.desired import Entry

Opener = Callable[[Entry], Awaitable[VlessClient]]


@pytest.fixture(scope="session")
def v2ray() -> str:
    """The real core. In CI its absence is a failure, elsewhere a skip that says so."""
    return needed(find_v2ray(), MISSING)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may keep a core from answering for longer than a request waits for it."""
    monkeypatch.setattr(current, "CORE_WAIT_SECONDS", 30.0)


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


@contextmanager
def lasting_node(v2ray: str, **settings: str) -> Iterator[tuple[RealNode, Pki]]:
    """A node, and its authority, for more than one test and more than one event loop."""
    with scratch_folder() as folder:
        authority = Pki(folder / "pki")
        authority.init()
        authority.node(NODE)
        authority.control()
        node = RealNode(NODE, folder / NODE, pki=authority.folder, core=v2ray, settings=settings)
        node.start()
        run_blocking(node.wait_ready())
        yield node, authority
        run_blocking(node.close())


@pytest.fixture(scope="module")
def quiet(v2ray: str) -> Iterator[tuple[RealNode, Pki]]:
    """A node for those who only look; its authority issues what they like."""
    with lasting_node(v2ray) as made:
        yield made


@pytest.fixture(scope="module")
def strict(v2ray: str) -> Iterator[tuple[RealNode, Pki]]:
    """A node that takes little and waits for nobody."""
    limits = {"VPN_AGENT_BODY_BYTES_MAX": "1000000", "VPN_AGENT_BODY_TIMEOUT": "0.5"}
    with lasting_node(v2ray, **limits) as made:
        yield made


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


@pytest.fixture(params=[XRAY, V2RAY])
async def core(request: pytest.FixtureRequest, stack: AsyncExitStack) -> LoadCore:
    """A core of gRPC alone, that lists or cannot."""
    load = LoadCore(request.param)
    await load.start()
    stack.push_async_callback(load.stop)
    return load


@pytest.fixture
async def bench(stack: AsyncExitStack, folder: Path, core: LoadCore) -> Bench:
    made = Bench(folder, core)
    await made.start()
    stack.push_async_callback(made.stop)
    return made
