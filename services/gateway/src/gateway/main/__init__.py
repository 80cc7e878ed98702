"""The composition root of the gateway: starts it, feeds it, stops it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import cast

from chassis.callers import Proxies, networks
from chassis.clock import SystemClock
from chassis.consumers import ExactlyOnce
from chassis.outbox import Outbox
from chassis.secrets import Overlap
from chassis.service import Service, run_main
from gateway import consumers, jobs
from gateway.adapters.polling import Polling
from gateway.bot.commands import publish_commands
from gateway.main.wiring import Gateway, build
from gateway.settings import MIGRATIONS, SCHEMA, Settings
from gateway.webhooks import LOOK_EVERY, Registration, Webhook

__all__ = ["MIGRATIONS", "Gateway", "build", "main", "run", "started"]


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[tuple[Service, Gateway]]:
    """Start the service; on leaving, stop it. Raises ConfigurationError."""
    # First: what is missing here no waiting for NATS and Postgres brings.
    token = settings.token()
    guard = settings.webhook_guard(SystemClock()) if settings.mode == "webhook" else None
    async with AsyncExitStack() as afterwards, Service.start("gateway", settings) as service:
        database = await service.database(schema=SCHEMA, folder=MIGRATIONS)
        outbox = await service.outbox(database)
        gateway = build(settings, service, outbox, token)
        afterwards.push_async_callback(gateway.close)
        service.health.add_check("telegram", gateway.telegram.ready)
        consume(service, outbox, gateway)
        work(service, gateway)
        await listen(settings, service, gateway, guard)
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
    service.carry_out(outbox, jobs.effects(gateway.stars, gateway.shop))
    # The runner knows the two verbs that a re-drive needs of a consumer.
    service.redrive(outbox, [*added, cast("ExactlyOnce", gateway.runner)])


def work(service: Service, gateway: Gateway) -> None:
    """Start what runs beside the consumers, and say how it stops."""
    supervise, stopping = service.background.supervise, service.background.stopping
    supervise(gateway.bot_budget.follow, name="send-budget")
    supervise(gateway.shards.run, name="shards")
    supervise(gateway.delivery_runner.run, name="deliveries")
    supervise(gateway.downloads.run, name="downloads")
    supervise(gateway.sweep.run, name="sweep")
    supervise(partial(gateway.positions.run, stopping), name="positions")
    supervise(gateway.links.learn, name="bot-name")
    supervise(partial(publish_commands, gateway.bot, gateway.shop.texts), name="commands")
    for part in (gateway.shards, gateway.delivery_runner, gateway.downloads, gateway.sweep):
        service.on_stop(part.stop)
    service.on_stop(gateway.bot_budget.stop)


async def listen(
    settings: Settings, service: Service, gateway: Gateway, guard: Overlap | None
) -> None:
    """Take updates in: by webhook on every replica, or by polling on one."""
    if guard is None:
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
    webhook = Webhook(
        gateway.intake,
        guard=guard,
        path=settings.webhook_path,
        host=settings.webhook_host,
        port=settings.webhook_port,
        limits=settings.webhook_limits,
        proxies=Proxies(
            settings.webhook_trusted_header, networks(settings.webhook_trusted_proxies)
        ),
    )
    await webhook.start()
    service.on_stop(webhook.stop)
    registration = Registration(
        gateway.telegram,
        guard,
        gateway.token,
        service.clock,
        url=settings.webhook_url,
        connections_max=settings.webhook_connections_max,
        wait=settings.webhook_secret_wait,
    )
    looking = service.background.every(LOOK_EVERY, registration.look, name="set-webhook")
    service.spawn(looking, name="set-webhook")


def main() -> None:
    run_main(run, Settings)
