"""The composition root of billing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from billing import consumers, jobs, rpc
from billing.adapters import access_file, shop_file
from billing.adapters.audit import PostgresAuditor
from billing.adapters.dry_run import DryRun
from billing.adapters.job_queues import JobQueues
from billing.adapters.postgres_access import PostgresAccessGrants
from billing.adapters.postgres_accounts import PostgresAccounts, PostgresGrants
from billing.adapters.postgres_ledgers import PostgresLedgers
from billing.adapters.postgres_orders import PostgresOrders, PostgresQuotas
from billing.adapters.postgres_payments import (
    PostgresCharges,
    PostgresPaymentReads,
    PostgresPayments,
    PostgresRecords,
)
from billing.adapters.postgres_reads import PostgresReads
from billing.adapters.postgres_rewards import (
    PostgresDiscounts,
    PostgresReferrals,
    PostgresRewardReads,
    postgres_rewards,
)
from billing.adapters.postgres_search import PostgresSearch
from billing.adapters.postgres_tier_steps import PostgresTierSteps
from billing.adapters.providers import crypto_pay, yookassa
from billing.adapters.seals import Seals
from billing.adapters.shop_file import Shop
from billing.domain.invoice_payload import Seal
from billing.domain.offers import Tender
from billing.domain.pace import Pace
from billing.handlers import referral_rewards, return_gifts
from billing.ports import Auditor, Books, Queues, Reads
from billing.ports.payments import Capabilities, PaymentProvider, Till
from billing.ports.rewards import Rewards
from billing.settings import MIGRATIONS, SCHEMA, PaymentSecrets, Settings
from billing.webhooks import PaymentWebhooks
from chassis import metrics
from chassis.callers import Proxies, networks
from chassis.clock import Clock, SystemClock
from chassis.consumers import Subscription
from chassis.effects import EffectKind
from chassis.errors import ConfigurationError
from chassis.outbox import Outbox
from chassis.rates import per_address
from chassis.secrets import Overlap
from chassis.service import Service, migrate_main, run_main
from contracts import catalogue
from contracts.catalogue import CatalogueError, Workflow
from contracts.payments import CRYPTO_PAY, STARS, YOOKASSA

__all__ = ["MIGRATIONS", "SCHEMA", "Billing", "build", "main", "migrate", "postgres_books", "run"]

FIRST_SAMPLE_POLL_SECONDS = 0.05
LOOK_AT_SECRETS_EVERY = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Billing:
    """Everything the process runs, wired."""

    subscriptions: tuple[Subscription, ...]
    answers: tuple[rpc.Answer, ...]
    sweeps: dict[str, tuple[timedelta, jobs.Sweep]]
    effects: dict[str, EffectKind]
    queues: Queues
    providers: Mapping[str, PaymentProvider]
    webhooks: PaymentWebhooks | None


def postgres_books() -> Books:
    return Books(
        PostgresAccounts(),
        PostgresOrders(),
        PostgresQuotas(),
        PostgresGrants(),
        PostgresDiscounts(),
        PostgresReferrals(),
        PostgresTierSteps(),
        PostgresAccessGrants(),
    )


def build(
    settings: Settings,
    outbox: Outbox,
    *,
    workflows: Mapping[str, Workflow] | None = None,
    books: Books | None = None,
    queues: Queues | None = None,
    reads: Reads | None = None,
    auditor: Auditor | None = None,
    providers: Mapping[str, PaymentProvider] | None = None,
) -> Billing:
    """Wire the service; what is given replaces the real part. Raises ConfigurationError."""
    database, clock = outbox.database, outbox.clock
    shop = shop_file.load(settings.catalogue_dir)
    plans = access_file.load(settings.catalogue_dir)
    shop = replace(shop, offers=replace(shop.offers, access=plans))
    terms = replace(settings.terms, rewards=shop.rewards)
    workflows = workflows if workflows is not None else _catalogue(settings)
    expected = {name: workflow.expected_seconds for name, workflow in workflows.items()}
    pace = Pace(expected, seen_within=settings.servers_seen_within)
    books = books or postgres_books()
    sampled = _job_queues(settings, outbox)
    rewards = postgres_rewards()
    kept = settings.payment_secrets(clock)
    providers = providers if providers is not None else _providers(settings, kept, shop, clock)
    till = _till(settings, kept.seal, shop, books, rewards, providers)
    seals = Seals(outbox)
    found = jobs.sweeps(outbox, books=books, terms=terms)
    given = jobs.reward_sweeps(outbox, books=books, rewards=rewards, terms=terms)
    table = partial(
        consumers.table,
        books=books,
        rewards=rewards,
        till=till,
        pace=pace,
        catalogue=workflows,
        terms=terms,
    )
    return Billing(
        table(queues=queues or sampled),
        rpc.table(
            reads=reads or PostgresReads(database),
            reward_reads=PostgresRewardReads(database),
            seen=PostgresPaymentReads(database),
            till=till,
            clock=clock,
            pace=pace,
            catalogue=workflows,
            terms=terms,
            history_page_max=settings.history_page_max,
        )
        + _operator_answers(outbox, table, queues or sampled, till, providers),
        {
            "sample-queues": (settings.queue_sample_every, sampled.sample),
            "expire-holds": (settings.expire_holds_every, found["expire-holds"]),
            "expire-lots": (settings.expire_lots_every, found["expire-lots"]),
            "ask-deliveries": (settings.ask_deliveries_every, found["ask-deliveries"]),
            "seal-ledger": (settings.seal_every, seals.seal),
            "look-at-secrets": (LOOK_AT_SECRETS_EVERY, kept.look),
            **{name: (settings.rewards_every, sweep) for name, sweep in given.items()},
        },
        {
            **jobs.effects(auditor or PostgresAuditor(database, seals.kept)),
            **jobs.seal_effects(seals, till),
            **jobs.payment_effects(outbox, till, providers),
        },
        queues or sampled,
        providers,
        _webhooks(settings, kept.path, outbox, till, providers),
    )


def _operator_answers(
    outbox: Outbox,
    table: Callable[..., tuple[Subscription, ...]],
    queues: Queues,
    till: Till,
    providers: Mapping[str, PaymentProvider],
) -> tuple[rpc.Answer, ...]:
    return rpc.operator_table(
        search=PostgresSearch(outbox.database),
        try_command=DryRun(outbox, table, queues).try_command,
        ledgers=PostgresLedgers(outbox.database),
        seen=PostgresPaymentReads(outbox.database),
        till=till,
        providers=providers,
    )


def _job_queues(settings: Settings, outbox: Outbox) -> JobQueues:
    queues = JobQueues(
        outbox.broker,
        outbox.database,
        outbox.clock,
        queue_max=settings.queue_max,
        outbox_age_max=settings.outbox_age_max,
    )
    metrics.gauge("vitrine.billing.oldest_hold", queues.hold_age_seconds, unit="s")
    metrics.gauge("vitrine.billing.oldest_waiting", queues.waiting_seconds, unit="s")
    return queues


def _providers(
    settings: Settings, kept: PaymentSecrets, shop: Shop, clock: Clock
) -> dict[str, PaymentProvider]:
    """The providers that are switched on; Stars are none: Telegram tells us through gateway."""
    webhooks = settings.webhook_port is not None
    found: dict[str, PaymentProvider] = {}
    if kept.crypto_pay is not None:
        net = crypto_pay.TEST_NET if settings.crypto_pay_test_net else crypto_pay.MAIN_NET
        found[CRYPTO_PAY] = crypto_pay.CryptoPay(
            token=kept.crypto_pay,
            base_url=settings.crypto_pay_api_url or net,
            tender=_tender(shop, CRYPTO_PAY),
            clock=clock,
            webhooks=webhooks,
        )
    if kept.yookassa is not None:
        _tender(shop, YOOKASSA)
        account = yookassa.Shop(
            settings.yookassa_shop_id,
            kept.yookassa,
            settings.yookassa_return_url,
            base_url=settings.yookassa_api_url or yookassa.ADDRESS,
            receipt_email=settings.yookassa_receipt_email if settings.yookassa_receipts else "",
            vat_code=settings.yookassa_vat_code,
            item=settings.yookassa_item,
            checks_ip=settings.yookassa_check_ip,
        )
        found[YOOKASSA] = yookassa.YooKassa(account, clock=clock, webhooks=webhooks)
    return found


def _tender(shop: Shop, provider: str) -> Tender:
    """What the provider asks for."""
    tender = shop.offers.tenders.get(provider)
    if tender is None:
        raise ConfigurationError(f"{shop_file.FILE}: methods.{provider} is missing")
    return tender


def _till(
    settings: Settings,
    seal: Seal | None,
    shop: Shop,
    books: Books,
    rewards: Rewards,
    providers: Mapping[str, PaymentProvider],
) -> Till:
    on = {name: each.capabilities for name, each in providers.items()}
    if settings.sells_for_stars:
        if STARS not in shop.offers.tenders:
            raise ConfigurationError(f"{shop_file.FILE}: methods.{STARS} is missing")
        on = {STARS: Capabilities(in_chat=True), **on}
    referrals = books.referrals
    earn = partial(referral_rewards.charge_credited, store=referrals, terms=shop.rewards.referral)
    lose = partial(referral_rewards.charge_taken_back, store=referrals)
    return Till(
        books,
        PostgresPayments(),
        PostgresCharges(),
        PostgresRecords(),
        shop.offers,
        on,
        settings.payment_terms,
        seal,
        (earn,),
        (lose,),
        (partial(return_gifts.refund_begins, books=books, store=rewards.gifts),),
    )


def _webhooks(
    settings: Settings,
    path: Overlap | None,
    outbox: Outbox,
    till: Till,
    providers: Mapping[str, PaymentProvider],
) -> PaymentWebhooks | None:
    """None: no provider that is switched on calls us."""
    if settings.webhook_port is None or path is None:
        return None
    if not any(each.capabilities.webhooks for each in providers.values()):
        return None
    return PaymentWebhooks(
        providers,
        till,
        outbox,
        secret=path,
        host=settings.webhook_host,
        port=settings.webhook_port,
        proxies=Proxies(
            settings.webhook_trusted_header, networks(settings.webhook_trusted_proxies)
        ),
        address_rate=per_address(settings.webhook_requests_per_second),
    )


def _catalogue(settings: Settings) -> Mapping[str, Workflow]:
    try:
        return catalogue.load(settings.catalogue_dir)
    except CatalogueError as error:
        raise ConfigurationError(str(error)) from error


async def run(settings: Settings) -> None:
    """Run the service until it is stopped."""
    # What is missing here no waiting for NATS and Postgres brings.
    settings.payment_secrets(SystemClock())
    async with Service.start("billing", settings) as service:
        database = await service.database(schema=SCHEMA, folder=MIGRATIONS)
        outbox = await service.outbox(database)
        built = build(settings, outbox)
        background = service.background
        for name, (period, work) in built.sweeps.items():
            service.spawn(background.every(period, work, name=name), name=name)
        # Nothing is accepted blindly: the first sample says how full the queues are.
        while not (built.queues.sampled or background.stopping.is_set()):
            await background.pause(FIRST_SAMPLE_POLL_SECONDS)
        service.consume(outbox, *built.subscriptions)
        service.carry_out(outbox, built.effects)
        for request, handler in built.answers:
            service.answer(request.subject, request, handler)
        if built.webhooks is not None:
            await built.webhooks.start()
            service.on_stop(built.webhooks.stop)
        try:
            await service.until_stopped()
        finally:
            for provider in built.providers.values():
                await provider.close()


def main() -> None:
    run_main(run, Settings)


def migrate() -> None:
    migrate_main(Settings, schema=SCHEMA, folder=MIGRATIONS)
