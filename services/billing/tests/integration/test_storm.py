"""Thousands of mixed money operations on fifty hot accounts, two billings at once: no drift."""

import asyncio
import os
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from billing.main import MIGRATIONS, SCHEMA
from chassis import bootstrap
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import SystemClock, id_floor
from chassis.migrations import migrate
from chassis.testing import drain
from contracts import billing, gateway, generator, operators, payments, rewards
from contracts.envelope import contracts_of
from devstack.testing import running_service

CATALOGUE = Path(__file__).parents[4] / "catalogue"
CONTRACTS = contracts_of(billing, gateway, generator, operators, payments, rewards)
PROCESSES = 2
WAVE = 600
WAVES_LEAST = 8
CHUNK = 100
WAVES_AFTER_MAX = 30
HOLDS_LAST = timedelta(seconds=9)
CLOCKS_DIFFER = timedelta(seconds=10)
DEDUPE_NANOSECONDS = 100_000_000
COMMANDS = {subject for subject in CONTRACTS if subject.startswith("billing.cmd.")}
ENDS = (billing.OrderCompleted, billing.OrderRefunded)


class Shop:
    """Two billing processes, the streams they take from, and the books they keep."""

    def __init__(self, broker: Broker, books: asyncpg.Connection, settings: dict[str, Any]) -> None:
        self.broker = broker
        self.books = books
        self.settings = settings
        self.told: dict[Any, Any] = {}
        self.commands = 0

    async def send(self, messages: list[Any]) -> None:
        for start in range(0, len(messages), CHUNK):
            chunk = messages[start : start + CHUNK]
            self.commands += sum(each.message.subject in COMMANDS for each in chunk)
            outgoing = [
                OutgoingMessage(each.message.subject, each.message.encode(), each.headers)
                for each in chunk
            ]
            assert all(await self.broker.publish_all(outgoing))

    async def handled(self) -> bool:
        commands = await self.broker.api("STREAM.INFO.BILLING")
        events = await self.broker.consumer_info("EVENTS", "billing")
        left = commands["state"]["messages"] + events.num_pending + events.num_ack_pending
        return int(left) == 0

    async def both_wait(self) -> bool:
        waiting = [
            (await self.broker.consumer_info(stream, "billing")).num_waiting
            for stream in ("BILLING", "EVENTS")
        ]
        return min(waiting) >= PROCESSES

    async def listen(self, since: Any) -> list[Any]:
        """Wait until everything sent is handled; what billing told that we had not read yet."""
        await drain(self.handled, within=timedelta(seconds=200), what="every message handled")
        rows = await self.books.fetch(
            "SELECT id, subject, body FROM outbox WHERE id > $1 ORDER BY id",
            id_floor(since - CLOCKS_DIFFER),
        )
        fresh = {
            row["id"]: CONTRACTS[row["subject"]].decode(row["body"])
            for row in rows
            if row["id"] not in self.told and row["subject"] in CONTRACTS
        }
        self.told |= fresh
        return list(fresh.values())

    async def everyone_knows(self) -> bool:
        """No hold pends, no gift waits, nothing expired is still there, all is published."""
        found: bool = await self.books.fetchval(
            "SELECT NOT EXISTS (SELECT FROM holds WHERE state = 'pending') "
            "AND NOT EXISTS (SELECT FROM gifts WHERE state = 'waiting') "
            "AND NOT EXISTS (SELECT FROM lots WHERE state = 'open' AND expires_at < now()) "
            "AND NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"
        )
        return found and await self.handled()

    async def audit(self) -> tuple[int, str]:
        """`billing audit`, as an operator runs it."""
        environment = {f"BILLING_{key.upper()}": str(value) for key, value in self.settings.items()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "billing", "audit"),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()


def impatient_catalogue(folder: Path) -> Path:
    """The real one, but jobs and gifts end within seconds."""
    copied = folder / "catalogue"
    shutil.copytree(CATALOGUE, copied)
    for manifest in copied.glob("*/manifest.toml"):
        text = manifest.read_text()
        manifest.write_text(text.replace("deadline_seconds = 120", "deadline_seconds = 1"))
    shop = copied / "shop.toml"
    text = shop.read_text()
    assert 'valid = "P30D"\nleast_credits' in text
    shop.write_text(text.replace('valid = "P30D"\nleast', 'valid = "PT3S"\nleast'))
    return copied


@asynccontextmanager
async def running_shop(dsn: str, url: str, folder: Path) -> AsyncIterator[Shop]:
    settings = {
        "database_url": dsn,
        "nats_url": url,
        "catalogue_dir": impatient_catalogue(folder),
        "payload_secret": "a secret of the storm",
        "in_flight_max": 1_000,
        "queue_max": 1_000_000,
        "attempts_max": 1,
        "adjust_alone_max": 40,
        # One person acts for everybody here.
        "adjust_alone_day_max": 1_000_000_000,
        "start_within": f"PT{HOLDS_LAST.seconds - 1}S",
        "hold_margin": "PT0S",
        "expired_lots_kept": "PT0S",
        **dict.fromkeys(("expire_holds_every", "expire_lots_every", "rewards_every"), "PT0.3S"),
        "seal_every": "PT1S",
    }
    await migrate(dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(url, name="storm", on_fatal=pytest.fail)
    await bootstrap.apply(broker)
    for stream in ("BILLING", "EVENTS"):
        # So that repeats under the same id reach billing: its inbox has to know them.
        config = (await broker.api(f"STREAM.INFO.{stream}"))["config"]
        config["duplicate_window"] = DEDUPE_NANOSECONDS
        await broker.api(f"STREAM.UPDATE.{stream}", config)
    books = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.close)
        stack.push_async_callback(books.close)
        for _ in range(PROCESSES):
            await stack.enter_async_context(running_service("billing", settings))
        shop = Shop(broker, books, settings)
        await drain(shop.both_wait, what="both take from both streams")
        yield shop


async def opened(shop: Shop, world: Any, people: int, promos: dict[str, tuple[str, int, int]]):
    since = SystemClock().now()
    made = [
        rewards.SavePromo(
            code=code,
            kind=kind,
            value=value,
            uses_max=uses,
            actor="ann",
            tier=billing.TIER_VIP if kind == rewards.PROMO_TIER else "",
        )
        for code, (kind, value, uses) in promos.items()
    ]
    accounts = [billing.OpenAccount(user_id=each) for each in range(1, people + 1)]
    await shop.send(world.packed([*made, *accounts]))
    told = await shop.listen(since)
    assert sum(isinstance(each, billing.AccountOpened) for each in told) == people


async def storm(shop: Shop, world: Any, operations: int) -> int:
    """Wishes and answers in waves, shuffled, with repeats; then only answers. Returns repeats."""
    repeats = 0
    again: list[Any] = []
    answers: list[Any] = []
    after = 0
    size = max(WAVE, operations // WAVES_LEAST)
    while after < WAVES_AFTER_MAX:
        since = SystemClock().now()
        left = operations - len(world.sent)
        calm = left <= 0
        wishes = [] if calm else world.wishes(min(left, max(size - len(answers), size // 4)))
        fresh = world.packed([*answers, *wishes])
        said = world.said_again(fresh)
        wave = [*fresh, *said, *again]
        repeats += len(said) + len(again)
        world.random.shuffle(wave)
        await shop.send(wave)
        # Under their own ids in the next wave: the server drops them within its short window.
        again = [] if calm else world.sent_again(fresh)
        told = await shop.listen(since)
        answers = [answer for each in told for answer in world.answers(each, calm=calm)]
        if calm and not (answers or again):
            if await shop.everyone_knows():
                return repeats
            within = HOLDS_LAST + timedelta(seconds=100)
            await drain(shop.everyone_knows, within=within, what="everything expired has ended")
            told = await shop.listen(since)
            answers = [answer for each in told for answer in world.answers(each, calm=calm)]
        after += calm
    raise AssertionError("the storm does not end")


def owed_to(told: list[Any]) -> Counter[int]:
    """Each person's credits from what billing told alone: available + held - debt."""
    total: Counter[int] = Counter()
    for each in told:
        match each:
            case billing.AccountOpened(user_id=user, trial_credits=amount):
                total[user] += amount
            case billing.CreditsGranted(user_id=user, credits=amount):
                total[user] += amount
            case payments.PaymentCredited(user_id=user, credits=amount):
                total[user] += amount
            case payments.ChargeRefunded(user_id=user, taken_credits=amount):
                total[user] -= amount
            case operators.CreditsAdjusted(user_id=user, credits=amount):
                total[user] += amount
            case billing.OrderCompleted(user_id=user, charged_credits=amount):
                total[user] -= amount
            case payments.PlanBought(user_id=user, charged_credits=amount):
                total[user] -= amount
            case rewards.GiftMade(user_id=user, credits=amount):
                total[user] -= amount
            case rewards.GiftOpened(user_id=user, credits=amount):
                total[user] += amount
            case rewards.GiftReturned(user_id=user, credits=amount):
                total[user] += amount
            case rewards.PromoRedeemed(user_id=user, kind=rewards.PROMO_CREDITS, value=amount):
                total[user] += amount
    return total


def check_every_wish_is_answered(sent: dict[Any, Any], told: list[Any]):
    """Done, or refused by name: nothing that was sent went under."""
    rejected = {each.command_id for each in told if isinstance(each, billing.CommandRejected)}
    for wish, key, answers in (
        (billing.GrantCredits, "grant_key", (billing.CreditsGranted,)),
        (operators.AdjustCredits, "adjustment_id", (operators.CreditsAdjusted,)),
        (payments.BuyPlan, "order_id", (payments.PlanBought, payments.PlanRefused)),
        (payments.CreatePayment, "payment_id", (payments.PaymentCreated, payments.PaymentFailed)),
    ):
        done = {getattr(each, key) for each in told if isinstance(each, answers)}
        for message_id, each in sent.items():
            if isinstance(each, wish):
                assert getattr(each, key) in done or message_id in rejected, each


def check_answers(sent: list[Any], told: list[Any], promos: dict[str, tuple[str, int, int]]):
    """Everything that was wished was answered, and nothing was done twice."""
    placed = {each.order_id for each in sent if isinstance(each, billing.PlaceOrder)}
    accepted = Counter(each.order_id for each in told if isinstance(each, billing.OrderAccepted))
    refused = Counter(each.order_id for each in told if isinstance(each, billing.OrderRefused))
    assert accepted + refused == Counter(placed)
    ended = Counter(
        each.order_id
        for each in told
        if isinstance(each, ENDS) and not getattr(each, "gift", False)
    )
    assert ended == accepted

    granted = {each.grant_key: each for each in sent if isinstance(each, billing.GrantCredits)}
    given = Counter(each.grant_key for each in told if isinstance(each, billing.CreditsGranted))
    assert all(given[key] <= 1 for key in granted)
    for each in told:
        if isinstance(each, billing.CreditsGranted) and each.grant_key in granted:
            assert each.credits == granted[each.grant_key].credits

    paid = {each.charge_id for each in sent if isinstance(each, gateway.StarsPaid)}
    credited = Counter(
        each.charge_id for each in told if isinstance(each, payments.PaymentCredited)
    )
    held = {each.charge_id for each in told if isinstance(each, payments.PaymentHeld)}
    assert max(credited.values()) == 1
    assert paid == credited.keys() | held
    back = Counter(each.charge_id for each in told if isinstance(each, payments.ChargeRefunded))
    assert max(back.values()) == 1

    for kind, key in (
        (operators.CreditsAdjusted, "adjustment_id"),
        (payments.PlanBought, "order_id"),
        (rewards.GiftMade, "gift_id"),
    ):
        done = Counter(getattr(each, key) for each in told if isinstance(each, kind))
        assert done, kind
        assert max(done.values()) == 1, kind
    gone = Counter(
        each.gift_id for each in told if isinstance(each, rewards.GiftOpened | rewards.GiftReturned)
    )
    assert gone == Counter(each.gift_id for each in told if isinstance(each, rewards.GiftMade))

    redeemed = [each for each in told if isinstance(each, rewards.PromoRedeemed)]
    assert max(Counter((each.user_id, each.code) for each in redeemed).values()) == 1
    for code, uses in Counter(each.code for each in redeemed).items():
        assert uses <= (promos[code][2] or len(redeemed))
    draws = [each for each in told if isinstance(each, rewards.DrawTaken) and not each.repeated]
    assert max(Counter((each.user_id, each.day) for each in draws).values()) == 1


@pytest.mark.xdist_group("heavy")
@pytest.mark.timeout(600)
async def test_a_storm_of_money_leaves_no_drift(
    world, database_dsn, nats_url, tmp_path, request, capsys
):
    operations = request.config.getoption("--storm-operations")
    people, promos = world.people, world.promos
    began = SystemClock().now()
    async with running_shop(database_dsn, nats_url, tmp_path) as shop:
        await opened(shop, world, people, promos)
        repeats = await storm(shop, world, operations)
        await shop.listen(began)

        code, report = await shop.audit()
        parked = await shop.books.fetch("SELECT subject, reason FROM parked")
        rows = await shop.books.fetch(
            "SELECT user_id, available, held, debt FROM accounts ORDER BY user_id"
        )
        expired = dict(
            await shop.books.fetch(
                "SELECT user_id, sum(amount)::int FROM transfers WHERE kind = 'expire' GROUP BY 1"
            )
        )
        stored = (await shop.broker.api("STREAM.INFO.BILLING"))["state"]["last_seq"]
        inbox = await shop.books.fetchval("SELECT count(*) FROM inbox")
    told = list(shop.told.values())
    seconds = (SystemClock().now() - began).total_seconds()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(world.sent)} operations and {repeats} repeats in {seconds:.0f} s, "
            f"{len(told)} answers\nsent {dict(world.kinds.most_common())}\n"
            f"told {dict(Counter(type(each).__name__ for each in told).most_common())}\n{report}"
        )

    assert (code, parked) == (0, []), report
    assert len(world.sent) >= operations
    assert inbox >= len(world.sent)
    assert stored == shop.commands, "the server dropped repeats that billing should have seen"
    check_every_wish_is_answered(world.sent, told)
    check_answers(list(world.sent.values()), told, promos)
    owed = owed_to(told)
    for user_id, available, held, debt in rows:
        total = owed[user_id] - expired.get(user_id, 0)
        assert (available, held, debt) == (max(total, 0), 0, max(-total, 0)), user_id
