"""Puts the gateway together: what is said, what is fetched, what is heard."""

from __future__ import annotations

from functools import partial
from zoneinfo import ZoneInfo

from aiogram.client.telegram import TelegramAPIServer

from chassis.clock import new_id
from chassis.errors import ConfigurationError
from chassis.key_value import KeyValue
from chassis.objects import Objects
from chassis.outbox import Outbox
from chassis.secrets import Secret
from chassis.service import Service
from contracts import catalogue
from contracts.catalogue import CatalogueError
from gateway.adapters.alerts import MediaAlerts
from gateway.adapters.bot import CurrentBot
from gateway.adapters.budget import BotBudget, Budget, ChatBudget
from gateway.adapters.chats import Chats
from gateway.adapters.checkouts import PostgresCheckouts, PostgresStatement
from gateway.adapters.conversations import Conversations
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.adapters.delivery_runner import DeliveryRunner
from gateway.adapters.downloads import Downloads
from gateway.adapters.edits import Edits
from gateway.adapters.images import Images
from gateway.adapters.intake import Intake
from gateway.adapters.links import StartLinks
from gateway.adapters.media import PostgresMedia
from gateway.adapters.order_screens import PostgresOrderScreens
from gateway.adapters.people import PostgresPeople
from gateway.adapters.pre_checkout import PreCheckouts
from gateway.adapters.progress import Progress
from gateway.adapters.reads import Asking
from gateway.adapters.runner import Runner
from gateway.adapters.sender import Sender
from gateway.adapters.shards import Shards
from gateway.adapters.stars import TelegramStars
from gateway.adapters.storage import ConversationStorage
from gateway.adapters.sweep import Sweep
from gateway.adapters.telegram import Telegram
from gateway.adapters.turns import Turns
from gateway.bot import reads, texts
from gateway.bot.dispatcher import build_dispatcher
from gateway.bot.notices import BotNotices
from gateway.bot.positions import PositionRefresher
from gateway.handlers.media_available import media_available
from gateway.handlers.media_failed import media_failed
from gateway.ports import Shop
from gateway.settings import Settings


class Gateway:
    """Everything the process runs, wired: what is said, what is fetched, what is heard."""

    def __init__(self, settings: Settings, service: Service, outbox: Outbox, token: Secret) -> None:
        self.replica = new_id()
        self.token = token
        self.background = service.background
        self.broker = outbox.broker
        self.outbox = outbox
        self.leases = KeyValue(self.broker, "leases")
        self.objects = Objects(self.broker)
        self.shards = Shards(
            self.leases,
            self.background,
            replica=str(self.replica),
            acquired=self._acquired,
            released=self._released,
            on_held=self._wake_all,
        )
        self._connect_telegram(settings)
        self._wire_shop(settings)
        self._wire_speech(settings)
        self._wire_uploads(settings)
        self._wire_updates(settings)

    def _connect_telegram(self, settings: Settings) -> None:
        local = settings.telegram_local_mode
        self.telegram = Telegram(
            token=self.token,
            api_url=settings.telegram_api_url,
            timeout=settings.telegram_timeout,
            local=local,
        )
        self.links = StartLinks(self.telegram)
        server = TelegramAPIServer.from_base(settings.telegram_api_url, is_local=local)
        self.bot = CurrentBot(self.token, server)

    def _wire_shop(self, settings: Settings) -> None:
        self.deliveries = PostgresDeliveries(new_id, self._wake_deliveries)
        known = _catalogue(settings)
        self.shop = Shop(
            catalogue=known,
            texts=_texts(settings, known),
            screens=PostgresOrderScreens(),
            people=PostgresPeople(),
            media=PostgresMedia(new_id, self._wake_downloads),
            deliveries=self.deliveries,
            links=self.links,
            checkouts=PostgresCheckouts(),
            statement=PostgresStatement(self.telegram.bot_id),
            new_id=new_id,
            shop_zone=ZoneInfo(settings.shop_time_zone),
            file_bytes_max=settings.file_bytes_max,
            admin_chat_id=settings.admin_chat_id,
            support_contact=settings.support_contact,
        )
        self.notices = BotNotices(self.shop)
        self.sweep = Sweep(self.outbox.database, self.objects, self.outbox.clock, self.background)

    def _wire_speech(self, settings: Settings) -> None:
        clock, database = self.outbox.clock, self.outbox.database
        self.bot_budget = BotBudget(
            KeyValue(self.broker, "buckets"),
            clock,
            bot_id=self.telegram.bot_id,
            per_second=settings.sends_per_second,
        )
        self.stars = TelegramStars(self.telegram, self.bot_budget.silence)
        private = ChatBudget(
            clock, per_second=settings.chat_sends_per_second, burst=settings.chat_sends_burst
        )
        per_minute = settings.group_sends_per_minute
        group = ChatBudget(clock, per_second=per_minute / 60, burst=max(1, int(per_minute / 4)))
        edits = Edits(self.background, interval=settings.edit_interval, held=self._surely_held)
        self.sender = Sender(
            self.telegram,
            Budget(self.bot_budget, private, group),
            Chats(database, clock),
            edits,
            self.objects,
            upload_timeout=settings.upload_timeout,
        )
        edits.connect(self.sender.edit_quietly)
        self.delivery_runner = DeliveryRunner(
            self.outbox,
            self.broker,
            self.sender,
            self.background,
            replica=self.replica,
            held=self._held,
            result_patience=settings.result_patience,
            notice_patience=settings.notice_patience,
        )
        self.progress = Progress(self.broker, database, edits, self.notices)

    def _wire_uploads(self, settings: Settings) -> None:
        self.images = Images(
            self.background,
            pixels_max=settings.image_pixels_max,
            side_max=settings.image_side_max,
            timeout=settings.image_timeout,
            idle=settings.image_worker_idle,
            memory_mib=settings.image_worker_memory_mib,
        )
        alerts = MediaAlerts(
            self.deliveries,
            self.notices,
            partial(media_failed, shop=self.shop),
            admin_chat_id=settings.admin_chat_id,
            language=texts.DEFAULT_LANGUAGE,
        )
        self.downloads = Downloads(
            self.outbox,
            self.telegram,
            self.objects,
            self.images,
            self.background,
            replica=self.replica,
            held=self._held,
            available=partial(media_available, shop=self.shop),
            failed=alerts.failed,
            concurrent_max=settings.max_concurrent_downloads,
            timeout=settings.download_timeout,
            attempts_max=settings.retry_attempts,
            bytes_max=settings.file_bytes_max,
        )

    def _wire_updates(self, settings: Settings) -> None:
        asking = Asking(self.broker, timeout=settings.read_timeout)
        conversations = Conversations(self.telegram.bot_id, ttl=settings.conversation_ttl)
        turns = Turns(
            self.outbox,
            conversations,
            self.deliveries,
            build_dispatcher(self.shop, ConversationStorage()),
            self.bot,
            notices=self.notices,
            wanted=reads.wanted,
            ask=asking.all,
            pick_language=self.shop.texts.pick,
            new_id=new_id,
        )
        self.runner = Runner(
            self.broker,
            self.outbox,
            turns,
            conversations,
            self.deliveries,
            self.sender,
            self.background,
            concurrent_max=settings.updates_concurrent_max,
            starts_max=settings.update_starts_max,
            send_wait_max=settings.send_wait_max,
        )
        pre_checkouts = PreCheckouts(
            self.broker,
            self.outbox.database,
            self.telegram,
            self.background,
            reason=self.notices.payment_declined,
            pick_language=self.shop.texts.pick,
        )
        self.intake = Intake(
            self.broker,
            self.outbox.clock,
            bot_id=self.telegram.bot_id,
            pre_checkout=pre_checkouts.begin,
        )
        self.positions = PositionRefresher(
            self.shop, self.outbox, ask=asking.position, held=self._held
        )

    def _wake_deliveries(self, shard: int) -> None:
        self.delivery_runner.wake(shard)

    def _wake_downloads(self) -> None:
        self.downloads.wake()

    def _held(self) -> frozenset[int]:
        return self.shards.held

    def _surely_held(self) -> frozenset[int]:
        """Not after a silence, at whose end others may have taken what we hold."""
        return self.shards.held if self.shards.alive else frozenset()

    async def _acquired(self, taken: frozenset[int]) -> None:
        await self.delivery_runner.take_over(taken)
        await self.downloads.take_over(taken)
        await self.progress.take(taken)
        await self.runner.take(taken)

    def _wake_all(self) -> None:
        """Rows of shards that nobody held until now."""
        self.delivery_runner.look()
        self.downloads.wake()

    async def _released(self, left: frozenset[int]) -> None:
        await self.runner.let_go(left)
        await self.delivery_runner.let_go(left)
        await self.progress.let_go(left)
        await self.sender.edits.let_go(left)

    async def close(self) -> None:
        await self.images.stop()
        await self.telegram.close()
        await self.bot.session.close()


def build(settings: Settings, service: Service, outbox: Outbox, token: Secret) -> Gateway:
    """Wire the service. Raises ConfigurationError."""
    return Gateway(settings, service, outbox, token)


def _catalogue(settings: Settings) -> catalogue.Catalogue:
    try:
        return catalogue.load(settings.catalogue_dir)
    except CatalogueError as error:
        raise ConfigurationError(str(error)) from error


def _texts(settings: Settings, known: catalogue.Catalogue) -> texts.FluentTexts:
    """A workflow that cannot be named in every language must not be offered."""
    loaded = texts.load(settings.catalogue_dir)
    for problem in loaded.missing(known):
        raise ConfigurationError(f"a text is missing for {problem}")
    return loaded
