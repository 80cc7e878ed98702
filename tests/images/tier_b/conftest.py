"""Trials of the built images: `make images` alone runs them, since they need podman and minutes."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from vitrine_tools.images import build, layers, plan, podman, trial

ASKED = os.environ.get("VITRINE_TEST_IMAGES") == "1"
# `make test` shall not even know them; who asks without podman is told (fixture below).
collect_ignore_glob = [] if ASKED else ["test_*.py"]

Start = Callable[..., trial.Container]


@pytest.fixture(scope="session", autouse=True)
def built() -> Iterator[None]:
    """Every image is there, or the run fails: a skip here would be taken for a success."""
    if missing := build.missing():
        pytest.fail(f"images cannot be tried without {', '.join(missing)}: run `make images`")
    lacking = [name for name in plan.IMAGES if not podman.exists(podman.name_of(name))]
    if lacking:
        pytest.fail(f"not built: {', '.join(lacking)}: run `make images`")
    trial.remove_all()
    yield
    trial.remove_all()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts restricted containers, and takes them away again."""
    started: list[trial.Container] = []

    def begin(
        service: str,
        command: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        memory: str = trial.MEMORY,
    ) -> trial.Container:
        container = trial.Container(
            podman.name_of(service), command, environment=environment, memory=memory
        )
        started.append(container)
        return container

    yield begin
    for container in started:
        container.remove()


@pytest.fixture(scope="session")
def added() -> Callable[[str], layers.Added]:
    """What an image adds to its base; read once, since it is unpacked for that."""
    known: dict[str, layers.Added] = {}

    def of(service: str) -> layers.Added:
        if service not in known:
            known[service] = layers.above(build.BASE, podman.name_of(service))
        return known[service]

    return of
