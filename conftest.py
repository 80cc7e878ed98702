"""Real servers for every test: Postgres and nats-server, as processes or as containers."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings

import simulators  # noqa: F401 - before pytest takes the folder of that name for the package
from chassis import stopping
from devstack.browser import find_chromium
from devstack.testing import (
    STEADY,
    UNSAFE_BUT_FAST,
    DatabaseServer,
    MessageServer,
    create_database,
    drop_database,
    free_port,
    run_blocking,
    running_nats,
    running_postgres,
    wipe_jetstream,
)

# Hundreds of Python processes start in a run. Where the environment forbids compiled files, as that
# of images does, each would compile its imports again, and every worker rewrite every test file.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# How long one example takes says how busy the machine is, and nothing of what is tested. In CI
# Hypothesis has a profile of its own that says the same; --hypothesis-profile comes after this one.
settings.register_profile(
    "patient",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")
WITH_CONTAINERS = os.environ.get("VITRINE_TEST_BACKEND") == "testcontainers"
FSYNC = os.environ.get("VITRINE_TEST_FSYNC") == "on"
# Groups and folders in the order in which they begin: what takes minutes must not begin last, when
# the other processes have nothing left to do. Each of the two groups keeps one core busy.
LONG = (
    "platform",
    "heavy",
    "devstack/tests/test_supervisor",
    "tools/",
    "tests/integration/",
    "services.gateway.tests.adapters",
    "services/generator/tests/integration/",
    "libs/chassis/tests/",
    "devstack/",
    "simulators/",
)
# Files whose tests share streams, a database and a gateway: apart, each process would make its own.
SHARED_BY_FILE = ("services/gateway/tests/adapters/", "tests/chaos/", "tools/tests/test_dead.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-orders", type=int, default=0, help="0: the 60-second version")
    parser.addoption("--chaos-seed", type=int, default=20261121)
    parser.addoption("--storm-operations", type=int, default=2_000, help="of money, on 50 accounts")
    parser.addoption("--storm-seed", type=int, default=20261122)
    parser.addoption("--full", action="store_true", help="outages as long as they may really be")
    parser.addoption("--vpn-operations", type=int, default=150, help="of access, on 25 people")
    parser.addoption("--vpn-seed", type=int, default=20261123)
    parser.addoption("--kill-points", choices=("crediting", "all"), default="crediting")


def pytest_configure(config: pytest.Config) -> None:
    # pytest-xdist would begin with the groups of many tests; ours are sorted below, by time.
    config.option.loadscopereorder = False


@pytest.fixture(scope="session", autouse=True)
def _no_last_resort() -> Iterator[None]:
    """A service that is stopped inside the tests' process must not end it, however late it is.

    What a stop's last resort does is tested with processes of their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stopping, "last_resort", lambda _seconds: None)
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread tests over processes: what shares a platform stays together, what is long begins.

    pytest-xdist 3.8 writes groups into a field that pytest 9.2 no longer reads (pytest-xdist#1386).
    """
    if not getattr(config.option, "loadgroup", False):
        return
    items.sort(key=_turn_of)
    for item in items:
        group = _group_of(item)
        if group and not item.nodeid.endswith(f"@{group}"):
            item._id = NodeId.parse(f"{item.nodeid}@{group}")  # type: ignore[attr-defined]  # noqa: SLF001


def _group_of(item: pytest.Item) -> str:
    if (mark := item.get_closest_marker("xdist_group")) is not None:
        return str(mark.args[0])
    file = item.nodeid.partition("::")[0]
    return file.replace("/", ".") if file.startswith(SHARED_BY_FILE) else ""


def _turn_of(item: pytest.Item) -> int:
    """The place of a test's group, or of its folder, among what takes long; the others last."""
    places = (_group_of(item), item.nodeid)
    turns = (
        turn for turn, start in enumerate(LONG) if any(each.startswith(start) for each in places)
    )
    return next(turns, len(LONG))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DatabaseServer]:
    """One Postgres per test process; without fsync unless VITRINE_TEST_FSYNC=on."""
    server: AbstractContextManager[DatabaseServer]
    settings = STEADY if FSYNC else UNSAFE_BUT_FAST
    if WITH_CONTAINERS:
        from devstack.containers import postgres_container

        server = postgres_container(settings)
    else:
        server = running_postgres(settings)
    with server as running:
        yield running


@pytest.fixture(scope="session")
def nats_server() -> Iterator[MessageServer]:
    """One nats-server per test process, with `sync_interval: always`."""
    server: AbstractContextManager[MessageServer]
    if WITH_CONTAINERS:
        from devstack.containers import nats_container

        server = nats_container()
    else:
        server = running_nats()
    with server as running:
        yield running


@pytest.fixture
def database_dsn(postgres_server: DatabaseServer) -> Iterator[str]:
    """An empty database of the test's own (roles are shared by the whole server)."""
    dsn = run_blocking(create_database(postgres_server))
    yield dsn
    run_blocking(drop_database(postgres_server, dsn))


@pytest.fixture
def nats_url(nats_server: MessageServer) -> str:
    """The shared nats-server, emptied of every stream, bucket and object store."""
    run_blocking(wipe_jetstream(nats_server))
    return nats_server.url


@pytest.fixture(name="free_port")
def _free_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser. In CI its absence is a failure, elsewhere a skip that says so."""
    if (found := find_chromium()) is not None:
        return found
    reason = "BROWSER TEST NOT RUN: Chromium is missing and cannot be installed here"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
