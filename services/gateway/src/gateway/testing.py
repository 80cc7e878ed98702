"""The routers and handlers over a real database, without Telegram and NATS: for tests."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from aiogram import Bot

from chassis.broker import Broker
from chassis.clock import SystemClock, id_floor, new_id
from chassis.database import Database
from chassis.migrations import migrate
from chassis.outbox import Outbox
from chassis.partitions import Partitions
from contracts import billing, catalogue, gateway, generator
from contracts.envelope import Message, Reply, Request, contracts_of
from contracts.ids import MediaId, OrderId, UserId, derived_id
from contracts.media import MediaRef
from gateway import consumers
from gateway.adapters.checkouts import PostgresCheckouts, PostgresStatement
from gateway.adapters.conversations import Conversations
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.adapters.intake import peek
from gateway.adapters.media import PostgresMedia
from gateway.adapters.order_screens import PostgresOrderScreens
from gateway.adapters.people import PostgresPeople
from gateway.adapters.reads import REPLIES
from gateway.adapters.storage import ConversationStorage
from gateway.adapters.turns import Turns
from gateway.bot import texts
from gateway.bot.dispatcher import build_dispatcher
from gateway.bot.notices import BotNotices
from gateway.bot.reads import wanted
from gateway.domain.screen import Screen
from gateway.handlers.media_available import media_available
from gateway.handlers.media_failed import media_failed
from gateway.ports import Answer, Reads, Shop

SCHEMA = "gateway"
MIGRATIONS = Path(__file__).parents[2] / "migrations"
TOKEN = "42:TEST"  # noqa: S105 - no bot has it
SHOP_ZONE = ZoneInfo("Europe/Moscow")
OPERATORS = 77
"""The chat of the operators; tests share it."""
FILE_BYTES_MAX = 20 * 1024 * 1024
M = TypeVar("M", bound=Message)
_MESSAGES = contracts_of(billing, gateway, generator)


_catalogue = cache(catalogue.load)
_texts = cache(texts.load)
"""Read once per test process: neither changes."""


@cache
def _bot() -> Bot:
    """One for all chats: none calls out, and each would read every certificate authority anew."""
    return Bot(TOKEN)


class NoSweeper:
    """Implements ports.Sweeper: remembers that it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def request(self) -> None:
        self.asked += 1


class KnownLinks:
    """Implements ports.Links for a bot whose name is known, until a test forgets it."""

    def __init__(self) -> None:
        self.name = "vitrine_bot"

    def start(self, payload: str) -> str | None:
        return f"https://t.me/{self.name}?start={payload}" if self.name else None


class Chat:
    """One person in front of the real routers; billing says what the test wants it to say."""

    def __init__(self, outbox: Outbox, folder: Path) -> None:
        self.outbox = outbox
        self.user_id = random.randrange(1 << 32, 1 << 40)  # noqa: S311 - not a secret
        self.language_code = "en"
        self.billing: dict[type[Request], Reply] = {}
        self.asked: list[Request] = []
        self.sweeper = NoSweeper()
        self.links = KnownLinks()
        deliveries = PostgresDeliveries(new_id, lambda _shard: None)
        self.shop = Shop(
            catalogue=_catalogue(folder),
            texts=_texts(folder),
            screens=PostgresOrderScreens(),
            people=PostgresPeople(),
            media=PostgresMedia(new_id, lambda: None),
            deliveries=deliveries,
            links=self.links,
            checkouts=PostgresCheckouts(),
            statement=PostgresStatement(_bot().id),
            new_id=new_id,
            shop_zone=SHOP_ZONE,
            file_bytes_max=FILE_BYTES_MAX,
            admin_chat_id=OPERATORS,
            support_contact="@support",
        )
        self.bot = _bot()
        self.turns = Turns(
            outbox,
            Conversations(self.bot.id, ttl=timedelta(hours=1)),
            deliveries,
            build_dispatcher(self.shop, ConversationStorage()),
            self.bot,
            notices=BotNotices(self.shop),
            wanted=wanted,
            ask=self._ask,
            pick_language=self.shop.texts.pick,
            new_id=new_id,
        )
        self._ids = itertools.count(random.randrange(1 << 40))  # noqa: S311 - not a secret

    async def _ask(self, requests: Sequence[Request]) -> Reads:
        self.asked.extend(requests)
        return Reads({REPLIES[type(each)]: self.billing.get(type(each)) for each in requests})

    # What the person does.

    async def send(self, text: str = "", **content: Any) -> tuple[Answer, ...]:
        """Send a message; return what the bot answers at once."""
        message = {"text": text} if text else {}
        return await self.update(message=self._message(**message, **content))

    async def tap(
        self, data: str, *, user_id: UserId | None = None, came: datetime | None = None
    ) -> tuple[Answer, ...]:
        """Tap a button of a message with text; at `came`, if its update was kept waiting since."""
        sender = self._person(user_id)
        query = {
            "id": "1",
            "from": sender,
            "chat_instance": "1",
            "data": data,
            "message": self._message(text="…", chat=self._chat(user_id)),
        }
        return await self.update(callback_query=query, came=came)

    async def membership(self, status: str, *, came: datetime) -> None:
        """Stop the bot (`kicked`) or start it again (`member`), as Telegram tells of it."""
        bot = {"id": self.bot.id, "is_bot": True, "first_name": "Vitrine"}
        change = {
            "chat": self._chat(),
            "from": self._person(),
            "date": 1_790_000_000,
            "old_chat_member": {"user": bot, "status": "member"},
            "new_chat_member": {"user": bot, "status": status, "until_date": 0},
        }
        await self.update(my_chat_member=change, came=came)

    async def update(self, *, came: datetime | None = None, **content: Any) -> tuple[Answer, ...]:
        number = next(self._ids)
        body = msgspec.json.encode({"update_id": number, **content})
        said = derived_id(id_floor(came), number) if came is not None else None
        return (await self.turns.work(peek(body), body, said=said)).answers

    async def service_message(self, *, from_bot: bool = False, **content: Any) -> Any:
        """Something Telegram itself says in the chat."""
        message = self._message(**content)
        if from_bot:
            message["from"] = {"id": self.bot.id, "is_bot": True, "first_name": "Vitrine"}
        return await self.update(message=message)

    def _person(self, user_id: UserId | None = None) -> dict[str, Any]:
        return {
            "id": user_id or self.user_id,
            "is_bot": False,
            "first_name": "A",
            "language_code": self.language_code,
        }

    def _chat(self, user_id: UserId | None = None) -> dict[str, Any]:
        return {"id": user_id or self.user_id, "type": "private"}

    def _message(self, **content: Any) -> dict[str, Any]:
        base = {"message_id": next(self._ids) % 100_000, "date": 1_790_000_000}
        return {**base, "from": self._person(), "chat": self._chat(), **content}

    async def send_photo(self, unique_id: str = "") -> MediaId:
        """Send a photo; return the id of its media row."""
        name = unique_id or str(next(self._ids))
        size = {"width": 800, "height": 600, "file_size": 9_000}
        file = {"file_id": f"f{name}", "file_unique_id": name, **size}
        await self.send(photo=[{**file, "file_unique_id": f"{name}s"}, file])
        found = await self.one("SELECT id FROM media WHERE file_unique_id = $1", name)
        assert isinstance(found, UUID)
        return MediaId(found)

    # What other parts of the system do.

    async def photo_arrives(self, media_id: MediaId, **measures: Any) -> None:
        """The download ends well, as adapters/downloads.py records it."""
        fields = {"width": 800, "height": 600, "size_bytes": 9_000, **measures}
        ref = MediaRef(
            name="in.jpg", object_key=f"in/{media_id}", sha256="0" * 64, mime="image/jpeg", **fields
        )
        async with self.outbox.begin() as uow:
            await uow.connection.execute(
                "UPDATE media SET state = 'available', ref = $2 WHERE id = $1",
                media_id,
                msgspec.to_builtins(ref),
            )
            media = (await self.shop.media.find(uow, (media_id,)))[0]
            await media_available(media, uow, shop=self.shop)

    async def photo_fails(self, media_id: MediaId, error: str) -> None:
        async with self.outbox.begin() as uow:
            await uow.connection.execute(
                "UPDATE media SET state = 'failed', error = $2 WHERE id = $1", media_id, error
            )
            media = (await self.shop.media.find(uow, (media_id,)))[0]
            await media_failed(media, uow, shop=self.shop)

    async def receive(self, message: Message) -> None:
        """Hand a message to its handler, as the consumer would."""
        routes = {
            route.message: route.handler
            for subscription in consumers.table(self.shop, self.sweeper)
            for route in subscription.routes
        }
        handler: Any = routes[type(message)]
        async with self.outbox.begin() as uow:
            await handler(message, uow)

    # What was recorded.

    async def emitted(self, kind: type[M]) -> list[M]:
        """The messages of one kind written for this person."""
        async with self.outbox.database.read() as connection:
            rows = await connection.fetch(
                "SELECT body FROM outbox WHERE subject = $1 ORDER BY id", kind.subject
            )
        messages = [kind.decode(row["body"]) for row in rows]
        return [each for each in messages if getattr(each, "user_id", 0) == self.user_id]

    async def deliveries(self, kind: str = "") -> list[tuple[str, Screen]]:
        """(key, screen) of the delivery rows that wait for this person, oldest first."""
        async with self.outbox.database.read() as connection:
            rows = await connection.fetch(
                "SELECT key, body FROM deliveries WHERE user_id = $1 AND state = 'intent' "
                "AND ($2 = '' OR kind = $2) ORDER BY id",
                self.user_id,
                kind,
            )
        return [(row["key"], msgspec.convert(row["body"]["screen"], Screen)) for row in rows]

    async def one(self, query: str, *parameters: object) -> Any:
        async with self.outbox.database.read() as connection:
            return await connection.fetchval(query, *parameters)

    async def state_of(self, order_id: OrderId) -> str:
        state = await self.one("SELECT state FROM screens WHERE order_id = $1", order_id)
        assert isinstance(state, str)
        return state


class NoBroker(Broker):
    """Publishing is another's test: what is committed here stays in the outbox table."""

    def __init__(self) -> None:
        """Nothing is connected."""


async def migrated(dsn: str) -> None:
    """Bring an empty database to the gateway's schema."""
    await migrate(dsn, schema=SCHEMA, folder=MIGRATIONS)
    database = await Database.connect(dsn, schema=SCHEMA, pool_max=1)
    await Partitions(database, SystemClock()).maintain()
    await database.close()


@asynccontextmanager
async def opened_chat(dsn: str, folder: Path) -> AsyncIterator[Chat]:
    """A chat over a migrated database; `folder` is the catalogue's."""
    database = await Database.connect(dsn, schema=SCHEMA, pool_max=4)
    outbox = Outbox(database, NoBroker(), SystemClock())
    chat = Chat(outbox, folder)
    try:
        yield chat
    finally:
        await database.close()


__all__ = ["Chat", "migrated", "opened_chat"]
