"""One chaos run: people order, trouble strikes, and the invariants are read off at the end."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import aiohttp

from chassis import rpc
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.errors import TransientError
from contracts import billing, scheduler
from contracts.envelope import Command, Headers
from contracts.ids import MessageId, UserId
from contracts.money import Credits
from devstack.chaos import invariants
from devstack.chaos.findings import Finding
from devstack.chaos.judgement import Seen, judge
from devstack.chaos.people import AS_FILE_PREFIX, AWAY, Log, Person, Screens, unpack
from devstack.chaos.subscribers import Subscriber
from devstack.chaos.trouble import Trouble
from devstack.ports import free_port
from devstack.processes import ChildProcess
from devstack.stage import Stage, running_platform
from devstack.testing import scratch_folder, wait_until

COMFYUI_SERVERS = 2
COMFYUI_TIME_SCALE = 0.05
FIRST_USER_ID = 5_000_000
TIMERS = 40
POOR_EVERY = 10
CALM_ROUNDS = 2
ASK_SECONDS = 0.25
QUIET_SECONDS_MAX = 150.0
TIERS = ("black_gold", "vip", "none", "none", "none")


@dataclass(frozen=True, slots=True)
class Plan:
    """How big a run is. `seconds_max` ends the trouble (not the orders) early."""

    orders: int = 500
    people: int = 50
    seed: int = 1
    seconds_max: float = 900.0
    claim_silence: float = 30.0
    """The generators' own; the calm after the last kill lasts as long, and then some."""


@dataclass
class Outcome:
    """What a run found."""

    findings: list[Finding]
    log: Log
    struck: dict[str, int]
    seconds: float
    problems: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.broken]


async def run(plan: Plan, folder: Path | None = None) -> Outcome:
    """Run the plan on a platform of its own; the caller judges the outcome."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(comfyui_servers())
        environment = {
            "COMFYUI_URL": ",".join(servers),
            "SCHEDULER_RENEW_TRIALS_EVERY": "5",
            "SCHEDULER_RUN_AUDIT_EVERY": "20",
            "GENERATOR_CLAIM_SILENCE": str(plan.claim_silence),
            "VITRINE_LOG_FORMAT": "json",
        }
        stage = await stack.enter_async_context(running_platform(environment, folder=folder))
        broker = await Broker.connect(
            stage.urls["nats"],
            name="chaos",
            identity=stage.identity,
            on_fatal=lambda _: None,
            signatures=stage.signatures,
        )
        stack.push_async_callback(broker.close)
        log = Log()
        screens = Screens(stage)
        people = await _invite(stage, screens, broker, plan, log)
        keys = await _set_timers(broker, plan)
        trouble = Trouble(stage, plan.seed, servers)
        async with asyncio.TaskGroup() as group:
            group.create_task(trouble.run())
            group.create_task(_stop_after(trouble, plan.seconds_max))
            ordered = asyncio.Event()
            group.create_task(screens.watch(ordered))
            await _order_all(people, plan)
            trouble.stopped.set()
            await stage.no_faults()
            log.round_trip = await _order_in_calm(people, broker, trouble, plan)
            ordered.set()
        problems = await settle(stage)
        findings = await _judge(stage, people, plan, log, trouble, keys)
        return Outcome(
            findings, log, dict(trouble.done), time.monotonic() - began, problems + log.given_up
        )


@asynccontextmanager
async def comfyui_servers() -> AsyncIterator[list[str]]:
    """Start the ComfyUI stand-ins that the platform's generators work on."""
    with scratch_folder() as folder:
        processes, urls = [], []
        for number in range(COMFYUI_SERVERS):
            port = free_port()
            command = (
                *("python", "-m", "simulators.comfyui", "--port", str(port)),
                *("--data-dir", str(folder / f"comfyui-{number}")),
                *("--time-scale", str(COMFYUI_TIME_SCALE)),
            )
            process = ChildProcess(f"comfyui-{number}", _here(command), output=lambda _: None)
            process.start()
            processes.append(process)
            urls.append(f"http://127.0.0.1:{port}")
        try:
            async with aiohttp.ClientSession() as session:
                for url in urls:
                    await wait_until(lambda url=url: _answers(session, url), url, 30.0)  # type: ignore[misc]
            yield urls
        finally:
            await asyncio.gather(*(process.terminate(5.0) for process in processes))


def _here(command: tuple[str, ...]) -> tuple[str, ...]:
    import sys

    return (sys.executable, *command[1:])


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/system_stats") as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False


async def send(broker: Broker, command: Command) -> None:
    """Send a command under one id until it is stored."""
    headers = Headers(id=MessageId(new_id())).to_wire()
    while True:
        try:
            await broker.publish(command.subject, command.encode(), headers)
            return
        except TransientError:
            await asyncio.sleep(0.5)


async def _invite(
    stage: Stage, screens: Screens, broker: Broker, plan: Plan, log: Log
) -> list[Subscriber]:
    people = [
        Subscriber(stage, screens, FIRST_USER_ID + number, plan.seed * 1_000 + number, log)
        for number in range(plan.people)
    ]
    await asyncio.gather(*(person.begin() for person in people))
    await wait_until(lambda: accounts(stage, plan.people), "everybody's account", 60.0)
    for number, person in enumerate(people):
        tier = TIERS[number % len(TIERS)]
        if number % POOR_EVERY:  # the others have the trial credits alone, and run out
            for part in range(2):  # more at once would need a second person
                grant = billing.GrantCredits(
                    grant_key=f"chaos:{person.user_id}:{part}",
                    user_id=UserId(person.user_id),
                    credits=Credits(1_000),
                    reason="chaos",
                    actor=f"chaos {person.user_id}",  # one person gives only so much a day
                )
                await send(broker, grant)
        if tier != "none":
            command = billing.SetTier(
                user_id=UserId(person.user_id),
                tier=tier,
                reason="chaos",
                actor=f"chaos {person.user_id}",
                until=SystemClock().now() + timedelta(days=1),  # for good would take two people
            )
            await send(broker, command)
    return people


async def accounts(stage: Stage, wanted: int) -> bool:
    connection = await stage.connect()
    try:
        found = await connection.fetchval("SELECT count(*) FROM billing.accounts")
    finally:
        await connection.close()
    return bool(found >= wanted)


async def _set_timers(broker: Broker, plan: Plan) -> list[str]:
    now = SystemClock().now()
    chance = random.Random(plan.seed)  # noqa: S311 (not a secret)
    keys = []
    for number in range(TIMERS):
        due_at = now + timedelta(seconds=chance.uniform(1, 40))
        # An audit's effect row is named after the timer's moment: a second effect would show.
        body = billing.RunAudit(due_at=due_at).encode()
        subject = billing.RunAudit.subject
        for version in (1, 2):
            await send(
                broker,
                scheduler.ScheduleTimer(
                    key=f"chaos:{number}",
                    version=version,
                    due_at=due_at,
                    fire_subject=subject,
                    fire_body=body,
                ),
            )
        keys.append(f"chaos:{number}")
    return keys


async def _order_all(people: list[Subscriber], plan: Plan) -> None:
    async def shop(person: Person, orders: int) -> None:
        for _ in range(orders):
            await person.order()

    each, more = divmod(plan.orders, len(people))
    async with asyncio.TaskGroup() as group:
        for number, person in enumerate(people):
            group.create_task(shop(person, each + (number < more)))
            group.create_task(person.buy_access())


async def _order_in_calm(
    people: Sequence[Person], broker: Broker, trouble: Trouble, plan: Plan
) -> float:
    """Everybody orders at once, with no kill near: only so can priorities be judged.

    Returns how long the slowest answer of a service took meanwhile.
    """
    last = max(trouble.moments_of(), default=0.0)
    aftermath = plan.claim_silence + invariants.AFTERMATH_SECONDS
    await asyncio.sleep(max(0.0, last + aftermath + 1 - time.time()))
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        slowest = group.create_task(_slowest_answer(broker, over))
        for _ in range(CALM_ROUNDS):
            await asyncio.gather(*(person.order() for person in people))
        over.set()
    return slowest.result()


async def _slowest_answer(broker: Broker, over: asyncio.Event) -> float:
    """Ask billing again and again; what a loaded machine makes of one question, it does to all."""
    slowest = 0.0
    while not over.is_set():
        began = time.monotonic()
        with suppress(rpc.RpcFailedError, TransientError):  # then it took as long as one waits
            await rpc.request(broker, billing.GetBalance(user_id=UserId(1)), billing.Balance)
        slowest = max(slowest, time.monotonic() - began)
        await asyncio.sleep(ASK_SECONDS)
    return slowest


async def _stop_after(trouble: Trouble, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await trouble.stopped.wait()
    except TimeoutError:
        trouble.stopped.set()


_QUIET = """
SELECT
 (SELECT count(*) FROM billing.orders WHERE state IN ('accepted', 'running'))
 + (SELECT count(*) FROM billing.orders WHERE state = 'completed' AND pool <> 'vpn'
    AND delivered_at IS NULL)
 + (SELECT count(*) FROM gateway.deliveries WHERE state = 'intent')
 + (SELECT count(*) FROM gateway.updates WHERE handled_at IS NULL)
 + (SELECT count(*) FROM gateway.screens WHERE state IN ('confirming', 'placed'))
 + (SELECT count(*) FROM gateway.checkouts WHERE state = 'asked')
 + (SELECT count(*) FROM vpn.outbox WHERE published_at IS NULL)
 + (SELECT count(*) FROM billing.outbox WHERE published_at IS NULL)
 + (SELECT count(*) FROM gateway.outbox WHERE published_at IS NULL)
"""


async def settle(stage: Stage) -> list[str]:
    """Wait until nothing is under way; what still is after that long is a problem."""
    deadline = time.monotonic() + QUIET_SECONDS_MAX
    left: object = "unknown"
    while time.monotonic() < deadline:
        try:
            connection = await stage.connect()
            try:
                left = await connection.fetchval(_QUIET)
            finally:
                await connection.close()
        except AWAY:
            left = "Postgres is away"
        if left == 0:
            return []
        await asyncio.sleep(0.5)
    return [f"not quiet after {QUIET_SECONDS_MAX:g} s: {left} left"]


async def _judge(
    stage: Stage, people: Sequence[Person], plan: Plan, log: Log, trouble: Trouble, keys: list[str]
) -> list[Finding]:
    seen = Seen(
        placed=log.placed,
        updates=await updates_sent(stage),
        results=await results_seen(stage, people),
        crashes=trouble.moments_of("gateway", "nats", "postgres"),
        troubles=trouble.moments_of(),
        timer_keys=keys,
        claim_silence=plan.claim_silence,
        round_trip=log.round_trip,
    )
    connection = await stage.connect()
    try:
        return await judge(connection, seen)
    finally:
        await connection.close()


async def results_seen(stage: Stage, people: Sequence[Person]) -> list[tuple[UUID, float]]:
    """Return the order and the moment of every result that is in a chat."""
    found = []
    for person in people:
        url = f"{stage.urls['telegram_control']}/chats/{person.user_id}/messages"
        async with stage.session.get(url) as answer:
            answer.raise_for_status()
            messages = (await answer.json())["messages"]
        for message in messages:
            data = [button.get("callback_data", "") for row in message["buttons"] for button in row]
            found += [
                (unpack(each, AS_FILE_PREFIX), float(message["date"]))
                for each in data
                if message["media"] and each.startswith(AS_FILE_PREFIX)
            ]
    return found


async def updates_sent(stage: Stage) -> list[int]:
    """Return the ids of all updates people caused, as the Telegram stand-in numbered them."""
    async with stage.session.get(f"{stage.urls['telegram_control']}/updates") as answer:
        answer.raise_for_status()
        return [int(each["update_id"]) for each in (await answer.json())["updates"]]
