"""Invariants 7 and 8 after a storm of everything that changes access, while everything is killed.

Grants, renewals, refunds, rotations, ends by the clock, days for everybody, operators' words on
nodes, told twice and out of order; the services, agents, cores, nats-server and Postgres die.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import nats
import pytest

from chassis.broker import Broker, OutgoingMessage
from chassis.clock import new_id
from chassis.errors import TransientError
from chassis.testing import drain
from contracts import errors, scheduler, vpn
from contracts.access import AccessNotBought, RenewAccess
from contracts.envelope import Headers, Message
from contracts.ids import MessageId, OrderId, UserId
from contracts.money import Credits
from devstack.programs import needed
from devstack.v2ray import MISSING, find_v2ray
from devstack.vpn_storm import NODES, Shop, vpn_shop
from devstack.vpn_watch import Watcher, in_step, report
from scheduler.domain import ticks

WITHIN = timedelta(seconds=120)
"""How quick it was is reported; what is judged is that it comes true."""
USERS_MIN = 25
OPERATIONS_EACH = 10
"""For each person, in a long storm."""
PER_SECOND = 14
KILL_EVERY = 0.6
TOLD_TWICE = 0.15
SHUFFLED = 8
LONG = 0.2
"""Of grants: for a month, so that there is somebody left at the end."""
RENEWALS = 2
"""A person can pay; then the credits are short."""
GRACE, RETENTION = 1.5, 2.0
VPN = {
    "DAY": 86_399,  # a service whose days are whole ones allows no renewal this short
    "GRACE_POLICY": "on",
    "GRACE": GRACE,
    "RETENTION": RETENTION,
    "RENEW_BEFORE": 2,
    "RENEW_SPACING": 1,
    "RENEW_ATTEMPTS_MAX": 2,
    "QUIET_BEGIN": 0,
    "QUIET_END": 0,
    "REMINDER_SPREAD": 0,
    "LOOK_EVERY": 0.5,
    "DRIFT_WINDOW": 1,
    "SWEEP_EVERY": 5,
}
TICKS = {"sweep_subscriptions": 4, "reconcile_nodes": 5.0, "check_nodes": 3}
SCHEDULER = {
    f"{tick}_every".upper(): TICKS.get(tick, 7 if tick == "send_reminders" else 0)
    for tick in ticks.KINDS
}
CHANGES = (vpn.CAUSE_EXPIRED, vpn.CAUSE_DELETED)


def commands(chance: random.Random, count: int, people: int) -> list[Message]:
    """What is asked, in an order of chance; some of it with new ids twice."""
    orders: list[tuple[OrderId, UserId]] = []
    asked: list[Message] = []

    def user() -> UserId:
        return UserId(chance.randint(1, people))

    def grant() -> Message:
        orders.append((OrderId(new_id()), user()))
        order_id, user_id = orders[-1]
        plan = chance.choice(("vpn_all", "vpn_all", "vpn_eu"))
        if chance.random() < LONG:
            return vpn.GrantAccess(order_id=order_id, user_id=user_id, plan=plan, days=30)
        # Its end counts from when it is told, which is `until`'s reader's to know: see `due`.
        return vpn.GrantAccess(order_id=order_id, user_id=user_id, plan=plan, days=-1)

    def revoke() -> Message:
        order_id, user_id = chance.choice(orders) if orders else (OrderId(new_id()), user())
        return vpn.RevokeAccess(order_id=order_id, user_id=user_id)

    def options() -> Message:
        return vpn.SetAccessOptions(user_id=user(), auto_renew=chance.random() < 0.8)

    def node() -> Message:
        state = chance.choice(("active", "active", "draining", "off"))
        return vpn.SetNode(node=chance.choice(list(NODES)), state=state, actor="storm")

    def everybody() -> Message:
        return vpn.ExtendEverybody(
            action_id=uuid4(), days=1, reason="storm", actor="storm", plan="vpn_eu"
        )

    def hint() -> Message:
        now = datetime.now(UTC)
        kinds = (vpn.SweepSubscriptions, vpn.RenewSubscriptions, vpn.CheckNodes, vpn.ReconcileNodes)
        return chance.choice(kinds)(due_at=now)

    kinds = {grant: 38, revoke: 12, options: 16, hint: 8, node: 7, everybody: 2}
    while len(asked) < count:
        if chance.random() < 0.17:
            asked.append(vpn.RotateKey(user_id=user(), link_too=chance.random() < 0.3))
        else:
            asked.append(chance.choices(list(kinds), list(kinds.values()))[0]())
        if chance.random() < TOLD_TWICE:
            asked.append(asked[-1])
    asked = asked[:count]
    for place in range(0, count, SHUFFLED):
        part = asked[place : place + SHUFFLED]
        chance.shuffle(part)
        asked[place : place + SHUFFLED] = part
    return asked


class Counterpart:
    """Sends commands, and is billing: it takes for renewals while credits last."""

    def __init__(self, shop: Shop, broker: Broker, chance: random.Random) -> None:
        self.shop, self.broker, self.chance = shop, broker, chance
        self.credits: Counter[int] = Counter()
        self.renewed: dict[UUID, Message] = {}
        self.ends: dict[UUID, datetime] = {}

    async def publish(self, *messages: Message) -> None:
        """Each under one id, as often as it takes."""
        left = [
            OutgoingMessage(each.subject, each.encode(), Headers(id=MessageId(new_id())).to_wire())
            for each in map(self.due, messages)
        ]
        while left:
            try:
                stored = await self.broker.publish_all(left)
            except TransientError:
                stored = [False] * len(left)
            left = [each for each, ok in zip(left, stored, strict=True) if not ok]
            await asyncio.sleep(0.05 if left else 0)

    def due(self, message: Message) -> Message:
        """A grant of seconds ends some seconds after it is first told; told again, the same."""
        if not isinstance(message, vpn.GrantAccess) or message.days >= 0:
            return message
        soon = datetime.now(UTC) + timedelta(seconds=self.chance.uniform(1.0, 3.5))
        until = self.ends.setdefault(message.order_id, soon)
        return vpn.GrantAccess(
            order_id=message.order_id, user_id=message.user_id, plan=message.plan, until=until
        )

    async def tell(self, asked: list[Message]) -> None:
        for message in asked:
            await self.publish(message)
            await asyncio.sleep(self.chance.uniform(0, 2) / PER_SECOND)  # the load of the test

    async def renew(self, stop: asyncio.Event) -> None:
        client = await nats.connect(self.shop.server.url, max_reconnect_attempts=-1)
        pulled = await client.jetstream().pull_subscribe_bind(durable="billing", stream="BILLING")
        while not stop.is_set():
            try:
                for message in await pulled.fetch(20, timeout=0.3):
                    if message.subject == RenewAccess.subject:
                        await self.publish(self.decide(RenewAccess.decode(message.data)))
                    await message.ack()
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(0.1)
        await client.close()

    def decide(self, asked: RenewAccess) -> Message:
        if asked.order_id in self.renewed:
            return self.renewed[asked.order_id]
        if self.credits[asked.user_id] >= RENEWALS:
            return AccessNotBought(
                order_id=asked.order_id,
                user_id=asked.user_id,
                plan_id=asked.plan_id,
                code=errors.INSUFFICIENT_CREDITS,
                price_credits=Credits(10),
                available_credits=Credits(0),
                renewal=True,
                subscription_id=asked.subscription_id,
                period_end=asked.period_end,
            )
        self.credits[asked.user_id] += 1
        self.renewed[asked.order_id] = vpn.GrantAccess(
            order_id=asked.order_id,
            user_id=asked.user_id,
            plan=asked.plan_id,
            until=asked.period_end + timedelta(seconds=3),
            renews=asked.period_end,
        )
        return self.renewed[asked.order_id]


async def calm(shop: Shop) -> bool:
    """Whether nothing more is due, asked or on its way."""
    [row] = await shop.fetch(
        "SELECT (SELECT count(*) FROM vpn.subscriptions WHERE due_at < now() + interval '1 min')"
        " + (SELECT count(*) FROM scheduler.timers WHERE state = 'armed' AND due_at < now())"
        " + (SELECT count(*) FROM vpn.outbox WHERE published_at IS NULL)"
        " + (SELECT count(*) FROM scheduler.outbox WHERE published_at IS NULL)"
        " + (SELECT count(*) FROM vpn.extensions WHERE finished_at IS NULL) AS left"
    )
    return row["left"] == 0


async def judge(shop: Shop) -> Counter[str]:
    """Invariant 8: every timer fired, none early, and what it made due happened once."""
    seen = Counter[str]()
    assert not await shop.fetch("SELECT FROM vpn.parked")
    assert not await shop.fetch("SELECT FROM scheduler.parked")
    assert not await shop.fetch(
        "SELECT FROM scheduler.timers WHERE state = 'fired' AND changed_at < due_at"
    )
    told = await shop.fetch("SELECT * FROM public.told ORDER BY seq")
    timers = {row["key"]: row for row in await shop.fetch("SELECT * FROM scheduler.timers")}
    newest: dict[str, scheduler.ScheduleTimer | scheduler.CancelTimer] = {}
    for kind in (scheduler.ScheduleTimer, scheduler.CancelTimer):
        for row in (each for each in told if each["subject"] == kind.subject):
            found = kind.decode(row["body"])
            if found.key not in newest or newest[found.key].version < found.version:
                newest[found.key] = found
    now = datetime.now(UTC)
    for key, last in newest.items():
        assert timers[key]["version"] == last.version, key
        due = isinstance(last, scheduler.ScheduleTimer) and last.due_at <= now
        armed = isinstance(last, scheduler.ScheduleTimer) and not due
        assert timers[key]["state"] == ("fired" if due else "armed" if armed else "cancelled"), key
    ids = Counter(row["id"] for row in told)
    assert max(ids.values()) == 1
    once = Counter[tuple[object, ...]]()
    for row in told:
        if row["subject"] == vpn.AccessChanged.subject:
            event = vpn.AccessChanged.decode(row["body"])
            if event.cause in CHANGES:
                once[(event.cause, event.subscription_id, event.state, event.until)] += 1
        elif row["subject"] == RenewAccess.subject:
            asked = RenewAccess.decode(row["body"])
            once[("renew", asked.order_id, asked.attempt)] += 1
        elif row["subject"] == vpn.AccessReminded.subject:
            said = vpn.AccessReminded.decode(row["body"])
            once[(said.kind, said.subscription_id, said.until, said.days_left)] += 1
        elif row["subject"] == vpn.EverybodyExtended.subject:
            once[("extended", vpn.EverybodyExtended.decode(row["body"]).action_id)] += 1
    assert [each for each, times in once.items() if times > 1] == []
    for each in once:
        seen[each[0]] += 1
    return seen


async def agree(shop: Shop, asked: list[Message], renewed: dict[UUID, Message]) -> None:
    """What nodes should hold is what subscriptions say; each order was answered, and gave once."""
    assert not await shop.fetch(
        "SELECT s.id, s.state, s.key, d.key, d.removed_for FROM vpn.subscriptions s "
        "LEFT JOIN vpn.desired d ON d.subscription_id = s.id AND d.removed_for IS NULL "
        "WHERE (s.state IN ('active', 'grace')) <> (d.key IS NOT NULL) OR s.key <> d.key"
    )
    assert not await shop.fetch(
        "SELECT FROM vpn.subscriptions WHERE state <> 'ended' AND delete_at < now()"
        " OR state = 'active' AND until < now()"
    )
    bodies = await shop.fetch("SELECT subject, body FROM public.told WHERE service = 'vpn'")
    answered = {
        kind.decode(row["body"]).order_id
        for kind in (vpn.AccessGranted, vpn.AccessRefused)
        for row in bodies
        if row["subject"] == kind.subject
    }
    ordered = {each.order_id for each in asked if isinstance(each, vpn.GrantAccess)}
    assert (ordered | renewed.keys()) <= answered


@pytest.mark.xdist_group("vpn-storm")
@pytest.mark.timeout(900)
async def test_a_storm_leaves_nodes_and_timers_as_they_should_be(
    request: pytest.FixtureRequest,
) -> None:
    core = needed(find_v2ray(), MISSING)
    count = request.config.getoption("--vpn-operations")
    seed = request.config.getoption("--vpn-seed")
    chance = random.Random(seed)
    people = max(USERS_MIN, count // OPERATIONS_EACH)
    asked = commands(chance, count, people)
    stop, over = asyncio.Event(), asyncio.Event()
    async with vpn_shop(core, VPN, SCHEDULER) as shop:
        broker = await Broker.connect(shop.server.url, name="storm", on_fatal=sys.exit)
        counterpart, watcher = Counterpart(shop, broker, chance), Watcher(shop)

        async def up() -> bool:
            rows = await shop.fetch("SELECT FROM vpn.nodes WHERE health = 'up'")
            return len(rows) == len(NODES)

        await drain(up, within=WITHIN, what="every node is up")
        async with asyncio.TaskGroup() as group:
            group.create_task(counterpart.renew(over))
            watching = group.create_task(watcher.run(over))
            killing = group.create_task(shop.kill_in_turn(chance, stop, KILL_EVERY))
            await counterpart.tell(asked)
            stop.set()
            await killing
            killed = time.monotonic()
            await counterpart.publish(
                *(vpn.SetNode(node=name, state="active", actor="storm") for name in NODES),
                *(vpn.SetAccessOptions(user_id=UserId(n + 1), auto_renew=False)
                  for n in range(people)),
            )  # fmt: skip

            async def handled() -> bool:
                answers = [await broker.api(f"STREAM.INFO.{name}") for name in ("VPN", "SCHEDULER")]
                return not any(answer["state"]["messages"] for answer in answers)

            await drain(handled, within=WITHIN, what="every command")
            await in_step(shop, within=WITHIN, what="all in step")
            settled = time.monotonic()
            watcher.settled = settled - killed
            await drain(lambda: calm(shop), within=WITHIN, what="nothing due")
            await in_step(shop, within=WITHIN, what="still in step")
            over.set()
            await watching
        seen = await judge(shop)
        await agree(shop, asked, counterpart.renewed)
        await broker.close()
        await report(shop, watcher, f"seed {seed}: {count} operations; once each: {dict(seen)}")
    assert {vpn.CAUSE_EXPIRED, vpn.CAUSE_DELETED, "renew"} <= seen.keys(), "little was ever due"
    assert watcher.wrong == []
    assert watcher.looked.keys() >= {"dead keys", "strangers"}
    assert shop.kills.total() >= count / PER_SECOND / 4, "hardly anything was killed"
