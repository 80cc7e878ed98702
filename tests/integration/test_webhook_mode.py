"""Orders by webhook, over two gateways, while updates come twice and in the wrong order."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import cycle

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from devstack.customer import PRODUCT_SCENE, Customer, Quote
from devstack.stage import Stage, running_platform
from devstack.testing import free_port, wait_until
from devstack.urls import Port

pytestmark = [pytest.mark.xdist_group("heavy"), pytest.mark.asyncio(loop_scope="module")]

SECRET = "a-secret-only-telegram-knows"
GATEWAYS = 2
PEOPLE = 4
PATIENCE_SECONDS = 60.0


@dataclass
class Balancer:
    """The one public address: hands each request to the next replica, as a cluster would."""

    port: int
    replicas: list[str] = field(default_factory=list)
    received: Counter[int] = field(default_factory=Counter)
    """How often each update came."""
    served: Counter[str] = field(default_factory=Counter)

    async def forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        update = (await request.json())["update_id"]
        headers = {
            name: value for name, value in request.headers.items() if name.startswith("X-Telegram")
        }
        for _ in self.replicas:
            replica = next(self._turns)
            try:
                async with self._session.post(replica, data=body, headers=headers) as answer:
                    self.received[update] += 1
                    self.served[replica] += answer.ok
                    return web.Response(status=answer.status)
            except aiohttp.ClientConnectionError:
                continue
        return web.Response(status=502)

    async def open(self) -> web.AppRunner:
        self._turns = cycle(self.replicas)
        self._session = aiohttp.ClientSession()
        application = web.Application()
        application.router.add_post("/telegram", self.forward)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        return runner

    async def close(self, runner: web.AppRunner) -> None:
        await runner.cleanup()
        await self._session.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[tuple[Stage, Balancer]]:
    balancer = Balancer(free_port())
    environment = {
        "VITRINE_GATEWAYS": str(GATEWAYS),
        "GATEWAY_MODE": "webhook",
        "GATEWAY_WEBHOOK_SECRET": SECRET,
        "GATEWAY_WEBHOOK_URL": f"http://127.0.0.1:{balancer.port}/telegram",
    }
    async with running_platform(environment) as stage:
        base = int(stage.urls["chat"].rsplit(":", 1)[1]) - Port.TELEGRAM
        balancer.replicas = [
            f"http://127.0.0.1:{base + Port.WEBHOOK + number}/telegram"
            for number in range(GATEWAYS)
        ]
        runner = await balancer.open()
        await stage.comfyui("time_scale", {"time_scale": 1.0, "job_seconds": 0.3})
        yield stage, balancer
        await balancer.close(runner)


@pytest.fixture
def stage(served: tuple[Stage, Balancer]) -> Stage:
    return served[0]


@pytest.fixture
def balancer(served: tuple[Stage, Balancer]) -> Balancer:
    return served[1]


async def impatient_order(customer: Customer, photo: bytes) -> Quote:
    """Order, tapping three times and talking meanwhile."""
    await customer.start()
    quote = await customer.quote(await customer.offer(photo), PRODUCT_SCENE)
    for _ in range(3):
        await customer.chat.press(quote.message, quote.confirm)
    await customer.chat.say("/history")
    await customer.chat.press(quote.message, quote.confirm)
    await customer.result(quote)
    return quote


async def test_each_screen_is_one_order_one_charge_and_one_result(
    stage: Stage, balancer: Balancer, new_user: Iterator[int], coffee: bytes
) -> None:
    await stage.faults({"kind": "duplicate_updates", "probability": 0.5})
    await stage.faults({"kind": "out_of_order_updates", "probability": 0.5})
    people = [stage.customer(next(new_user)) for _ in range(PEOPLE)]

    quotes = await asyncio.gather(*(impatient_order(person, coffee) for person in people))
    await all_handled(stage, balancer)

    for person, quote in zip(people, quotes, strict=True):
        user_id = person.chat.user_id
        orders = await stage.fetch(
            "SELECT o.order_id, o.state, h.state AS hold FROM billing.orders o "
            "LEFT JOIN billing.holds h USING (order_id) WHERE o.user_id = $1",
            user_id,
        )
        account = await stage.account(user_id)
        said = await person.chat.messages()
        assert [tuple(row) for row in orders] == [(quote.order_id, "completed", "posted")]
        assert (account.available, account.held) == (10, 0)
        assert [message.media_kind for message in said].count("photo") == 1
        assert ["History" in message.text for message in said].count(True) == 1
        assert ["Welcome" in message.text for message in said].count(True) == 1
    assert max(balancer.received.values()) > 1, "no update came twice: nothing was proven"
    assert await fired(stage, "out_of_order_updates") > 0
    assert len(balancer.served) == GATEWAYS
    assert all(balancer.served.values())


async def all_handled(stage: Stage, balancer: Balancer) -> None:
    async def done() -> bool:
        rows = await stage.fetch(
            "SELECT update_id FROM gateway.updates WHERE handled_at IS NOT NULL"
        )
        return balancer.received.keys() <= {row["update_id"] for row in rows}

    await wait_until(done, "every update handled", PATIENCE_SECONDS)


async def fired(stage: Stage, kind: str) -> int:
    async with stage.session.get(f"{stage.urls['telegram_control']}/faults") as answer:
        listed = (await answer.json())["faults"]
    return sum(fault["fired"] for fault in listed if fault["kind"] == kind)


async def test_a_stranger_without_the_secret_is_turned_away(
    stage: Stage, balancer: Balancer
) -> None:
    for headers in ({}, {"X-Telegram-Bot-Api-Secret-Token": "guess"}):
        async with stage.session.post(
            balancer.replicas[0], json={"update_id": 1}, headers=headers
        ) as answer:
            assert answer.status == 401


async def test_one_replica_serves_everybody_when_the_other_is_killed(
    stage: Stage, new_user: Iterator[int]
) -> None:
    await stage.no_faults()
    people = [stage.customer(next(new_user)) for _ in range(PEOPLE)]

    assert stage.kill("gateway", index=1)
    welcomed = await asyncio.gather(*(person.start() for person in people))

    assert all("20 trial credits" in message.text for message in welcomed)
