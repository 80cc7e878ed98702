"""The same test servers as containers, for whoever sets VITRINE_TEST_BACKEND=testcontainers."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
from testcontainers.core.container import DockerContainer

from devstack.health import answers_ok
from devstack.nats_server import configuration
from devstack.postgres import SETTINGS, SUPERUSER
from devstack.testing import run_blocking, scratch_folder, wait_until

POSTGRES_IMAGE = "postgres:18"
NATS_IMAGE = "nats:2.15"
READY_TIMEOUT_SECONDS = 90.0
POSTGRES_PORT = 5432
NATS_PORT = 4222
MONITORING_PORT = 8222
PASSWORD = "vitrine"  # noqa: S105 (a container that lives for one test run)


@dataclass(frozen=True, slots=True)
class PostgresContainer:
    host: str
    port: int

    def dsn(
        self, user: str = SUPERUSER, database: str = "postgres", password: str | None = None
    ) -> str:
        secret = quote(password or PASSWORD, safe="")
        return f"postgresql://{user}:{secret}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True, slots=True)
class NatsContainer:
    url: str
    store: None = None


@contextmanager
def postgres_container(settings: Mapping[str, str]) -> Iterator[PostgresContainer]:
    """A Postgres of the image that VITRINE_TEST_POSTGRES_IMAGE names."""
    image = os.environ.get("VITRINE_TEST_POSTGRES_IMAGE", POSTGRES_IMAGE)
    # io_method came with PostgreSQL 18; an older image of the reader's choice lacks it.
    chosen = {**SETTINGS, **settings, "listen_addresses": "*"}
    chosen.pop("io_method")
    arguments = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
    container = (
        DockerContainer(image)
        .with_env("POSTGRES_PASSWORD", PASSWORD)
        .with_env("POSTGRES_USER", SUPERUSER)
        .with_exposed_ports(POSTGRES_PORT)
        .with_command(["postgres", *arguments])
    )
    with container:
        server = PostgresContainer(
            container.get_container_host_ip(), int(container.get_exposed_port(POSTGRES_PORT))
        )
        run_blocking(wait_until(lambda: _answers(server), image, READY_TIMEOUT_SECONDS))
        yield server


async def _answers(server: PostgresContainer) -> bool:
    try:
        connection = await asyncpg.connect(server.dsn(), timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


@contextmanager
def nats_container() -> Iterator[NatsContainer]:
    """A nats-server of the image VITRINE_TEST_NATS_IMAGE names, with fsync as in production."""
    image = os.environ.get("VITRINE_TEST_NATS_IMAGE", NATS_IMAGE)
    with scratch_folder() as folder:
        # There is no command line switch for sync_interval, so the configuration goes in as a file.
        file = folder / "nats.conf"
        file.write_text(
            configuration(
                host="0.0.0.0",  # noqa: S104 (inside the container; published on loopback)
                port=NATS_PORT,
                monitoring_port=MONITORING_PORT,
                store_dir=Path("/data/jetstream"),  # inside the container
            )
        )
        file.chmod(0o644)
        container = (
            DockerContainer(image)
            .with_volume_mapping(str(file), "/etc/vitrine/nats.conf", "ro")
            .with_exposed_ports(NATS_PORT, MONITORING_PORT)
            .with_command(["--config", "/etc/vitrine/nats.conf"])
        )
        with container:
            host = container.get_container_host_ip()
            health = f"http://{host}:{container.get_exposed_port(MONITORING_PORT)}/healthz"

            run_blocking(wait_until(lambda: answers_ok(health), image, READY_TIMEOUT_SECONDS))
            yield NatsContainer(f"nats://{host}:{container.get_exposed_port(NATS_PORT)}")
