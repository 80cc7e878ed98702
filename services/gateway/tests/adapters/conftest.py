"""The whole gateway over real NATS and Postgres, in front of the simulated Telegram."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from PIL import Image
from pydantic import SecretStr

from chassis import bootstrap, rpc
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.outbox import Outbox
from contracts import errors
from contracts.billing import Balance, GetBalance, GetPrice, Price
from contracts.envelope import Headers, Message
from contracts.ids import MessageId
from contracts.payments import (
    CheckPreCheckout,
    GetOffers,
    Method,
    Offers,
    Pack,
    Plan,
    PreCheckoutAnswer,
)
from devstack.testing import migrated_database, wipe_jetstream
from gateway.main import MIGRATIONS, Gateway, started
from gateway.settings import Settings
from simulators.telegram.server import TelegramSimulator
from simulators.telegram.testing import ControlClient

OPERATORS = 900
STARS = 90
_PEOPLE = itertools.count(1_001)
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
            "signatures": "off",
            "catalogue_dir": CATALOGUE,
            "log_level": "warning",
            "log_format": "json",
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
        headers = {"id": MessageId(new_id()), "sent_at": datetime.now(UTC), **headers}
        wire = Headers(**headers).to_wire()
        await self.broker.publish(message.subject, message.encode(), wire)

    async def rows(self, query: str, *parameters: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsn, server_settings={"search_path": "gateway"})
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


# Streams, database and Telegram are made once per file: fifty streams take a second to make. Each
# test has people of its own.


@pytest.fixture(scope="module")
def module_dsn(postgres_server) -> Iterator[str]:
    with migrated_database(postgres_server, "gateway", MIGRATIONS) as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(nats_server) -> AsyncIterator[Broker]:
    await wipe_jetstream(nats_server)
    broker = await Broker.connect(nats_server.url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    yield broker
    await broker.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(module_dsn, nats_server, broker) -> AsyncIterator[Platform]:
    async with TelegramSimulator() as telegram, _billing(broker):
        platform = Platform(module_dsn, nats_server.url, broker, telegram)
        async with platform.people, platform.replicas:
            yield platform


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(platform) -> Gateway:
    """One replica for the whole file, with a budget that tests do not run into."""
    await platform.people.user(OPERATORS, first_name="Operators", started=True)
    return await platform.start(
        chat_sends_per_second=100,
        sends_per_second=1_000,
        retry_attempts=2,
        admin_chat_id=OPERATORS,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outbox(module_dsn, broker) -> AsyncIterator[Outbox]:
    """A migrated database and a broker, without a running gateway."""
    database = await Database.connect(module_dsn, schema="gateway", pool_max=4)
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    yield outbox
    await database.close()


class Billing:
    """What billing says: offers always, pre-checkouts only while it speaks."""

    def __init__(self) -> None:
        self.payers: dict[str, int] = {}
        self.asked: list[CheckPreCheckout] = []

    async def offers(self, _request: GetOffers) -> Offers:
        return Offers(
            packs=(Pack(id="credits_100", credits=100, prices={"XTR": STARS}),),
            plans=(Plan(id="vip_30", tier="vip", days=30, price_credits=300, stars=STARS),),
            methods=(Method(provider="stars", currency="XTR"),),
            priced_at=datetime.now(UTC),
        )

    async def check(self, request: CheckPreCheckout) -> PreCheckoutAnswer:
        self.asked.append(request)
        payer = self.payers.get(request.invoice_payload)
        if payer != request.user_id:
            code = errors.UNKNOWN_PAYMENT if payer is None else errors.NOT_YOURS
            return PreCheckoutAnswer(ok=False, code=code)
        return PreCheckoutAnswer(ok=True)

    @asynccontextmanager
    async def answering(self, broker) -> AsyncIterator[None]:
        checking = await rpc.answer(broker, CheckPreCheckout, self.check)
        try:
            yield
        finally:
            await checking.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def billing(broker) -> AsyncIterator[Billing]:
    said = Billing()
    offering = await rpc.answer(broker, GetOffers, said.offers)
    yield said
    await offering.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def speaking(billing, broker) -> AsyncIterator[Billing]:
    async with billing.answering(broker):
        yield billing


@pytest_asyncio.fixture(loop_scope="module")
async def person(platform) -> AsyncIterator[int]:
    """Somebody new, who speaks English and has opened the chat; no fault outlives the test."""
    user_id = next(_PEOPLE)
    await platform.people.user(user_id, first_name="A", language_code="en", started=True)
    yield user_id
    await platform.people.clear_faults()


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    """A real photograph would do as well; this one is small and made here."""
    path = tmp_path / "picture.jpg"
    Image.effect_mandelbrot((640, 480), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(path)
    return path.read_bytes()
