"""What people do, on a platform whose services are the built images, restricted as in a cluster."""

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from devstack.customer import PRODUCT_SCENE
from devstack.demo import product_photo
from devstack.stage import Stage, running_platform
from devstack.testing import wait_until
from devstack.vpn_customer import VpnCustomer
from vitrine_tools.images import podman

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(420)]

SERVICES = ("gateway", "billing", "generator", "scheduler", "vpn")
GRACE_SECONDS = 20
PATIENCE_SECONDS = 90.0


class Shop:
    """The platform, and its containers by service."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.base = int(stage.urls["telegram_api"].rsplit(":", 1)[1])

    def name(self, service: str) -> str:
        return f"vitrine-{self.base}-{service}"

    def state(self, service: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(podman.run("inspect", self.name(service)))[0]["State"]
        return found

    def id(self, service: str) -> str:
        listed = f"--filter=name=^{self.name(service)}$"
        return podman.run("ps", "--quiet", "--no-trunc", listed)

    async def ready(self, service: str) -> bool:
        url = f"{self.stage.urls['health'][service]}/readyz"
        try:
            async with self.stage.session.get(url) as answer:
                return answer.status == 200
        except OSError:
            return False


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop() -> AsyncIterator[Shop]:
    environment = {
        "VITRINE_IMAGES": podman.PREFIX,
        "CONTAINERS_CONF": podman.environment()["CONTAINERS_CONF"],
    }
    base = 0
    try:
        async with running_platform(environment) as stage:
            found = Shop(stage)
            base = found.base
            await stage.comfyui("time_scale", {"time_scale": 1.0, "job_seconds": 0.5})
            yield found
    finally:
        mine = f"--filter=label=vitrine.devstack={base}"
        if left := podman.run("ps", "--all", "--quiet", mine).split():
            podman.run("rm", "--force", "--time=0", *left)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def person(shop: Shop) -> VpnCustomer:
    made = VpnCustomer(shop.stage, random.randrange(10**8, 10**9))
    await made.start()
    return made


async def test_the_five_services_are_containers(shop: Shop) -> None:
    assert [service for service in SERVICES if not shop.id(service)] == []
    assert {program(pid) for each in SERVICES for pid in shop.stage.pids(each)} <= {"podman"}


def program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


async def test_a_payment_is_credited(shop: Shop, person: VpnCustomer) -> None:
    before = await shop.stage.account(person.user_id)

    await person.top_up()

    after = await shop.stage.account(person.user_id)
    assert after.available == before.available + 100


async def test_an_order_is_delivered(shop: Shop, person: VpnCustomer) -> None:
    before = await shop.stage.account(person.user_id)

    quote = await person.customer.order(product_photo(), PRODUCT_SCENE)
    result = await person.customer.result(quote)

    assert result.media_kind == "photo"
    after = await shop.stage.account(person.user_id)
    assert (after.available, after.held) == (before.available - 10, 0)


async def test_vpn_access_is_granted(shop: Shop, person: VpnCustomer) -> None:
    await person.top_up()
    await person.buy("vpn_30")

    assert await person.servers()
    assert (await shop.stage.account(person.user_id)).held == 0


@pytest.mark.parametrize("service", SERVICES)
async def test_a_killed_service_is_started_again_and_goes_on(
    shop: Shop, person: VpnCustomer, service: str
) -> None:
    old = shop.id(service)

    podman.run("kill", "--signal=KILL", shop.name(service))
    quote_offer = await person.customer.offer(product_photo())

    async def again() -> bool:
        found = shop.id(service)
        return found not in ("", old) and await shop.ready(service)

    await wait_until(again, f"{service} again", PATIENCE_SECONDS)
    quote = await person.customer.quote(quote_offer, "image.enhance")
    await person.chat.press(quote.message, quote.confirm)
    assert (await person.customer.result(quote)).media_kind == "photo"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_at_work_ends_in_order_within_its_grace(shop: Shop, service: str) -> None:
    name = shop.name(service)
    await wait_until(lambda: shop.ready(service), f"{service} ready", PATIENCE_SECONDS)
    # Its own end, not its container's removal: the supervisor starts the next under the same name.
    known = shop.id(service)
    events = ("events", "--stream=false", "--since=5m", "--filter=event=died", "--format=json")

    podman.run("kill", "--signal=TERM", name)

    def ended() -> list[int]:
        lines = podman.run(*events, f"--filter=container={known}").splitlines()
        return [json.loads(line).get("ContainerExitCode", 0) for line in lines]

    async def told() -> bool:
        return bool(ended())

    await wait_until(told, f"the end of {service}", GRACE_SECONDS)
    assert ended() == [0]
    await wait_until(lambda: shop.ready(service), f"{service} again", PATIENCE_SECONDS)
