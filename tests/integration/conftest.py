"""One running platform for all stories that are told through the chat."""

import os
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from devstack.browser import ARGUMENTS
from devstack.browser_chat import Screen
from devstack.customer import Customer
from devstack.programs import needed
from devstack.settings import REPOSITORY
from devstack.stage import Stage, attached, running_platform
from devstack.v2ray import MISSING, find_v2ray

PHOTOS = Path(__file__).with_name("photos")
SERVICES = ("gateway", "billing", "generator", "scheduler", "vpn", "nats", "postgres")
JOB_SECONDS = 0.6
SIZE = {"width": 1200, "height": 800}
PATIENCE_MS = 60_000
# What blinks while somebody waits is painted sixty times a second, by the processor.
STILL = "*, *::after { animation: none !important; transition: none !important; }"
# What failed on the only server is tried there again at once.
IMPATIENT = {"GENERATOR_ELSEWHERE_PATIENCE": "0.2"}
DAY_SECONDS = 8
GRACE_SECONDS = 3
SHORT_SPANS = {
    "VITRINE_VPN_NODES": "3",
    "VPN_DAY": f"PT{DAY_SECONDS}S",
    "VPN_GRACE_POLICY": "on",
    "VPN_GRACE": f"PT{GRACE_SECONDS}S",
    "VPN_RENEW_BEFORE": "PT10S",
    "VPN_RENEW_SPACING": "PT1S",
    "VPN_REMINDER_SPREAD": "PT0S",
    "VPN_RECONCILE_EVERY": "PT1S",
}
SHORT_PLANS = """
[regions]
eu = "Europe"
us = "America"
asia = "Asia"

[[plans]]
id = "vpn_trial"
kind = "trial"
price_credits = 0
days = 2
traffic_gib = 1

[[plans]]
id = "vpn_short"
price_credits = 10
days = 1

[[plans]]
id = "vpn_month"
price_credits = 50
days = 2
traffic_gib = 1

[[plans]]
id = "vpn_long"
price_credits = 1
days = 3660

[[plans]]
id = "vpn_traffic_1"
kind = "traffic"
price_credits = 50
traffic_gib = 1
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform() -> AsyncIterator[Stage]:
    """`make up`, on ports and in a folder of its own; its pictures take a fifth of the time.

    VITRINE_TEST_PLATFORM names the state folder of one that runs already, to write tests faster.
    """
    running = os.environ.get("VITRINE_TEST_PLATFORM")
    async with attached(Path(running)) if running else running_platform(IMPATIENT) as stage:
        await stage.comfyui("time_scale", {"time_scale": 1.0, "job_seconds": JOB_SECONDS})
        yield stage


@pytest.fixture(scope="session")
def v2ray() -> str:
    """The core of nodes, and of clients. In CI its absence is a failure, elsewhere a loud skip."""
    return needed(find_v2ray(), MISSING)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vpn_shop(v2ray: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A platform with three real nodes, where a day of VPN access lasts eight seconds."""
    assert v2ray
    folder = tmp_path_factory.mktemp("vpn-shop")
    shutil.copytree(REPOSITORY / "catalogue", folder / "catalogue")
    (folder / "catalogue" / "vpn.toml").write_text(SHORT_PLANS)
    async with running_platform(SHORT_SPANS, folder=folder) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def steady(platform: Stage) -> AsyncIterator[Stage]:
    """The platform; at the end, every process must be the one that ran before."""
    before = {name: platform.pids(name) for name in SERVICES}
    assert all(len(pids) == 1 for pids in before.values()), before
    yield platform
    await platform.comfyui_well()
    await platform.comfyui("time_scale", {"time_scale": 1.0, "job_seconds": JOB_SECONDS})
    assert {name: platform.pids(name) for name in SERVICES} == before


@pytest.fixture(scope="session")
def new_user() -> Iterator[int]:
    """Numbers of people nobody has seen before."""
    return count(random.randrange(10**8, 10**9))


@pytest_asyncio.fixture(loop_scope="session")
async def customer(steady: Stage, new_user: Iterator[int]) -> Customer:
    """Somebody who has just got the trial credits."""
    person = steady.customer(next(new_user))
    await person.start()
    return person


@pytest.fixture(scope="session")
def coffee() -> bytes:
    return (PHOTOS / "coffee.jpg").read_bytes()


@pytest.fixture(scope="session")
def coffee_from_a_phone() -> bytes:
    """On its side, with EXIF orientation 6 and GPS."""
    return (PHOTOS / "coffee-phone-rotated-gps.jpg").read_bytes()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield launched
        await launched.close()


@pytest.fixture
def open_chat(
    steady: Stage, browser: Browser, new_user: Iterator[int]
) -> Callable[..., AbstractAsyncContextManager[tuple[Screen, Customer]]]:
    """Opens a new person's chat, as Chromium shows it."""

    @asynccontextmanager
    async def opened(
        name: str, language: str = "en", known: int = 0
    ) -> AsyncIterator[tuple[Screen, Customer]]:
        user_id = known or next(new_user)
        await steady.register(user_id, name, language)
        page = await browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE_MS)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: said.type == "error" and problems.append(said.text))
        await page.goto(f"{steady.urls['chat']}/?user={user_id}")
        await page.add_style_tag(content=STILL)
        await page.wait_for_selector("body[data-ready]")
        yield Screen(page, user_id), steady.customer(user_id)
        await page.close()
        assert problems == []

    return opened
