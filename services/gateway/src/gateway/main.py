"""The composition root of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from chassis.clock import new_id
from chassis.consumers import ExactlyOnce
from chassis.errors import ConfigurationError
from chassis.key_value import KeyValue
from chassis.objects import Objects
from chassis.outbox import Outbox
from chassis.redrive import Redrive
from chassis.service import Service, migrate_main, run_main
from contracts import catalogue
from contracts.catalogue import CatalogueError
from gateway import consumers
from gateway.adapters.alerts import MediaAlerts
from gateway.adapters.budget import BotBudget, Budget, ChatBudget
from gateway.adapters.chats import Chats
from gateway.adapters.commits import Commits
from gateway.adapters.conversations import Conversations
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.adapters.delivery_runner import DeliveryRunner
from gateway.adapters.downloads import Downloads
from gateway.adapters.edits import Edits
from gateway.adapters.images import Images
from gateway.adapters.intake import Intake, decline
from gateway.adapters.media import PostgresMedia
from gateway.adapters.order_screens import PostgresOrderScreens
from gateway.adapters.people import PostgresPeople
from gateway.adapters.polling import Polling
from gateway.adapters.progress import Progress
from gateway.adapters.reads import Asking
from gateway.adapters.runner import Runner
from gateway.adapters.sender import Sender
from gateway.adapters.shards import Shards
from gateway.adapters.storage import ConversationStorage
from gateway.adapters.sweep import Sweep
from gateway.adapters.telegram import Telegram
from gateway.adapters.turns import Turns
from gateway.bot import reads, texts
from gateway.bot.commands import publish_commands
from gateway.bot.dispatcher import build_dispatcher
from gateway.bot.notices import BotNotices
from gateway.bot.positions import PositionRefresher
from gateway.handlers.media_available import media_available
from gateway.handlers.media_failed import media_failed
from gateway.ports import Shop
from gateway.settings import Settings
from gateway.webhooks import Webhook, register

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SCHEMA = "gateway"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything the process runs, wired."""

    shop: Shop
    telegram: Telegram
    bot: Bot
    bot_budget: BotBudget
    images: Images
    sweep: Sweep
    intake: Intake
    runner: Runner
    delivery_runner: DeliveryRunner
    downloads: Downloads
    progress: Progress
    shards: Shards
    positions: PositionRefresher
    leases: KeyValue
    replica: UUID

    async def close(self) -> None:
        await self.images.stop()
        await self.telegram.close()
        await self.bot.session.close()


def build(settings: Settings, service: Service, outbox: Outbox) -> Gateway:
    """Wire the service. Raises ConfigurationError."""
    replica, background, broker = new_id(), service.background, outbox.broker
    database, clock = outbox.database, outbox.clock
    objects, leases = Objects(broker), KeyValue(broker, "leases")
    token = settings.bot_token.get_secret_value()
    api_url = settings.telegram_api_url
    telegram = Telegram(
        token=token,
        api_url=api_url,
        timeout=settings.telegram_timeout,
        local=settings.telegram_local_mode,
    )
    server = TelegramAPIServer.from_base(api_url, is_local=settings.telegram_local_mode)
    bot = Bot(token, session=AiohttpSession(api=server))
    commits = Commits(background)
    deliveries = PostgresDeliveries(commits, new_id, lambda shard: delivery_runner.wake(shard))  # noqa: PLW0108 - made below
    known = _catalogue(settings)
    shop = Shop(
        catalogue=known,
        texts=_texts(settings, known),
        screens=PostgresOrderScreens(),
        people=PostgresPeople(),
        media=PostgresMedia(commits, new_id, lambda: downloads.wake()),  # noqa: PLW0108 - made below
        deliveries=deliveries,
        new_id=new_id,
        shop_zone=ZoneInfo(settings.shop_time_zone),
        file_bytes_max=settings.file_bytes_max,
    )
    notices = BotNotices(shop)
    bot_budget, budget = _budgets(settings, outbox, telegram.bot_id)
    edits = Edits(background, interval=settings.edit_interval)
    chats = Chats(database, clock)
    sender = Sender(telegram, budget, chats, edits, objects, upload_timeout=settings.upload_timeout)
    edits.connect(sender.edit_quietly)
    delivery_runner = DeliveryRunner(
        outbox,
        broker,
        sender,
        background,
        replica=replica,
        held=lambda: shards.held,
        result_patience=settings.result_patience,
        notice_patience=settings.notice_patience,
    )
    images = Images(
        background,
        pixels_max=settings.image_pixels_max,
        side_max=settings.image_side_max,
        timeout=settings.image_timeout,
        idle=settings.image_worker_idle,
        memory_mib=settings.image_worker_memory_mib,
    )
    alerts = MediaAlerts(
        deliveries,
        notices,
        partial(media_failed, shop=shop),
        admin_chat_id=settings.admin_chat_id,
        language=texts.DEFAULT_LANGUAGE,
    )
    downloads = Downloads(
        outbox,
        telegram,
        objects,
        images,
        background,
        replica=replica,
        held=lambda: shards.held,
        available=partial(media_available, shop=shop),
        failed=alerts.failed,
        concurrent_max=settings.max_concurrent_downloads,
        timeout=settings.download_timeout,
        attempts_max=settings.retry_attempts,
        bytes_max=settings.file_bytes_max,
    )
    progress = Progress(broker, database, edits, notices)
    asking = Asking(broker, timeout=settings.read_timeout)
    conversations = Conversations(telegram.bot_id, ttl=settings.conversation_ttl)
    turns = Turns(
        outbox,
        conversations,
        deliveries,
        build_dispatcher(shop, ConversationStorage()),
        bot,
        notices=notices,
        wanted=reads.wanted,
        ask=asking.all,
        pick_language=shop.texts.pick,
        new_id=new_id,
    )
    runner = Runner(
        broker,
        outbox,
        turns,
        conversations,
        deliveries,
        sender,
        background,
        concurrent_max=settings.updates_concurrent_max,
        starts_max=settings.update_starts_max,
        send_wait_max=settings.send_wait_max,
    )

    async def acquired(taken: frozenset[int]) -> None:
        await delivery_runner.take_over(taken)
        await downloads.take_over(taken)
        await progress.take(taken)
        await runner.take(taken)

    async def released(left: frozenset[int]) -> None:
        await runner.let_go(left)
        await delivery_runner.let_go(left)
        await progress.let_go(left)

    shards = Shards(leases, background, replica=str(replica), acquired=acquired, released=released)
    return Gateway(
        shop=shop,
        telegram=telegram,
        bot=bot,
        bot_budget=bot_budget,
        images=images,
        sweep=Sweep(database, objects, clock, background),
        intake=Intake(
            broker,
            clock,
            bot_id=telegram.bot_id,
            pre_checkout=decline(telegram.call, notices.payments_closed),
        ),
        runner=runner,
        delivery_runner=delivery_runner,
        downloads=downloads,
        progress=progress,
        shards=shards,
        positions=PositionRefresher(shop, outbox, ask=asking.position, held=lambda: shards.held),
        leases=leases,
        replica=replica,
    )


def _budgets(settings: Settings, outbox: Outbox, bot_id: int) -> tuple[BotBudget, Budget]:
    bot = BotBudget(
        KeyValue(outbox.broker, "buckets"),
        outbox.clock,
        bot_id=bot_id,
        per_second=settings.sends_per_second,
    )
    private = ChatBudget(
        outbox.clock,
        per_second=settings.chat_sends_per_second,
        burst=settings.chat_sends_burst,
    )
    per_minute = settings.group_sends_per_minute
    group = ChatBudget(outbox.clock, per_second=per_minute / 60, burst=max(1, int(per_minute / 4)))
    return bot, Budget(bot, private, group)


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


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[tuple[Service, Gateway]]:
    """Start the service; on leaving, stop it."""
    async with AsyncExitStack() as afterwards, Service.start("gateway", settings) as service:
        database = await service.database(schema=SCHEMA, folder=MIGRATIONS)
        outbox = await service.outbox(database)
        gateway = build(settings, service, outbox)
        afterwards.push_async_callback(gateway.close)
        service.health.add_check("telegram", gateway.telegram.ready)
        consume(service, outbox, gateway)
        work(service, gateway)
        await listen(settings, service, gateway)
        yield service, gateway


async def run(settings: Settings) -> None:
    """Run the service until it is stopped."""
    async with started(settings) as (service, _):
        await service.until_stopped()


def consume(service: Service, outbox: Outbox, gateway: Gateway) -> None:
    """Handle commands and events; parked updates are re-driven like any parked message."""
    added = [
        ExactlyOnce(service.name, outbox, each)
        for each in consumers.table(gateway.shop, gateway.sweep)
    ]
    for consumer in added:
        service.background.supervise(consumer.run, name="consume")
        service.on_stop(consumer.stop)
    # The runner knows the two verbs that a re-drive needs of a consumer.
    redrive = Redrive(service.name, outbox, [*added, cast("ExactlyOnce", gateway.runner)])
    redrive.answer(service)
    service.background.supervise(redrive.run_left_over, name="redrive")


def work(service: Service, gateway: Gateway) -> None:
    """Start what runs beside the consumers, and say how it stops."""
    supervise, stopping = service.background.supervise, service.background.stopping
    supervise(gateway.bot_budget.follow, name="send-budget")
    supervise(gateway.shards.run, name="shards")
    supervise(gateway.delivery_runner.run, name="deliveries")
    supervise(gateway.downloads.run, name="downloads")
    supervise(gateway.sweep.run, name="sweep")
    supervise(partial(gateway.positions.run, stopping), name="positions")
    supervise(partial(publish_commands, gateway.bot, gateway.shop.texts), name="commands")
    for part in (gateway.shards, gateway.delivery_runner, gateway.downloads, gateway.sweep):
        service.on_stop(part.stop)
    service.on_stop(gateway.bot_budget.stop)


async def listen(settings: Settings, service: Service, gateway: Gateway) -> None:
    """Take updates in: by webhook on every replica, or by polling on one."""
    if settings.mode == "polling":
        polling = Polling(
            gateway.telegram,
            gateway.intake,
            gateway.leases,
            service.background,
            owner=str(gateway.replica),
            timeout=settings.polling_timeout,
        )
        service.health.add_liveness("polling", polling.stalled)
        service.background.supervise(polling.run, name="polling")
        return
    secret = settings.webhook_secret.get_secret_value()
    webhook = Webhook(
        gateway.intake,
        secret=secret,
        path=settings.webhook_path,
        bytes_max=settings.update_bytes_max,
        host=settings.webhook_host,
        port=settings.webhook_port,
    )
    await webhook.start()
    service.on_stop(webhook.stop)
    if settings.webhook_url:
        tell = partial(
            register,
            gateway.telegram,
            url=settings.webhook_url,
            secret=secret,
            connections_max=settings.webhook_connections_max,
        )
        service.background.supervise(tell, name="set-webhook")


def main() -> None:
    run_main(run, Settings)


def migrate() -> None:
    migrate_main(Settings, schema=SCHEMA, folder=MIGRATIONS)
