"""The whole gateway over real NATS and Postgres, in front of the simulated Telegram."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from PIL import Image
from pydantic import SecretStr
from simulators.telegram.server import TelegramSimulator
from simulators.telegram.testing import ControlClient

from chassis import bootstrap, rpc
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.migrations import migrate
from chassis.outbox import Outbox
from contracts.billing import Balance, GetBalance, GetPrice, Price
from contracts.envelope import Headers, Message
from contracts.ids import MessageId
from gateway.main import MIGRATIONS, Gateway, started
from gateway.settings import Settings

CATALOGUE = Path(__file__).parents[4] / "catalogue"


class Platform:
    """What surrounds the gateway, and any number of its replicas."""

    def __init__(self, dsn: str, nats_url: str, broker: Broker, telegram: TelegramSimulator):
        self.dsn = dsn
        self.nats_url = nats_url
        self.broker = broker
        self.telegram = telegram
        self.people = ControlClient(telegram.url)
        self.replicas = AsyncExitStack()

    def settings(self, **changes: Any) -> Settings:
        defaults: dict[str, Any] = {
            "bot_token": SecretStr(self.telegram.token),
            "telegram_api_url": self.telegram.url,
            "database_url": self.dsn,
            "nats_url": self.nats_url,
            "catalogue_dir": CATALOGUE,
            "log_level": "warning",
            "database_pool_max": 4,
        }
        return Settings(**{**defaults, **changes})

    async def start(self, **changes: Any) -> Gateway:
        """Start one more replica; it stops at the end of the test."""
        _service, gateway = await self.replicas.enter_async_context(
            started(self.settings(**changes))
        )
        return gateway

    async def publish(self, message: Message, **headers: Any) -> None:
        """Say something on behalf of another service."""
        wire = Headers(id=MessageId(new_id()), sent_at=datetime.now(UTC), **headers).to_wire()
        await self.broker.publish(message.subject, message.encode(), wire)

    async def rows(self, query: str, *parameters: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(
            self.dsn, server_settings={"search_path": "gateway"}
        )
        try:
            await connection.set_type_codec(
                "jsonb", schema="pg_catalog", encoder=str, decoder=msgspec.json.decode
            )
            return await connection.fetch(query, *parameters)
        finally:
            await connection.close()

    async def value(self, query: str, *parameters: Any) -> Any:
        rows = await self.rows(query, *parameters)
        return rows[0][0] if rows else None


@asynccontextmanager
async def _billing(broker: Broker) -> AsyncIterator[None]:
    """Billing's reads, answered with one balance and one price."""

    async def balance(request: GetBalance) -> Balance:
        return Balance(user_id=request.user_id, opened=True, available_credits=20)

    async def price(request: GetPrice) -> Price:
        return Price(
            workflow_id=request.workflow_id,
            catalogue_version=1,
            price_credits=10,
            base_price_credits=10,
            priced_at=datetime.now(UTC),
            available_credits=20,
        )

    answering = [
        await rpc.answer(broker, GetBalance, balance),
        await rpc.answer(broker, GetPrice, price),
    ]
    try:
        yield
    finally:
        for each in answering:
            await each.stop()


@pytest.fixture
async def platform(database_dsn: str, nats_url: str) -> AsyncIterator[Platform]:
    await migrate(database_dsn, schema="gateway", folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    async with TelegramSimulator() as telegram, _billing(broker):
        platform = Platform(database_dsn, nats_url, broker, telegram)
        async with platform.people, platform.replicas:
            yield platform
    await broker.close()


@pytest.fixture
async def outbox(database_dsn: str, nats_url: str) -> AsyncIterator[Outbox]:
    """A migrated database and a broker, without a running gateway."""
    await migrate(database_dsn, schema="gateway", folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    database = await Database.connect(database_dsn, schema="gateway", pool_max=4)
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    yield outbox
    await database.close()
    await broker.close()


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    """A real photograph would do as well; this one is small and made here."""
    path = tmp_path / "picture.jpg"
    Image.effect_mandelbrot((640, 480), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(path)
    return path.read_bytes()
