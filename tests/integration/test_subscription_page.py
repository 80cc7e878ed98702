"""A person opens their subscription link on a phone."""

import dataclasses
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import segno
from PIL import Image
from playwright.async_api import Browser, Page

from chassis.testing import FakeClock
from contracts.vpn import STATE_GRACE
from vpn.adapters.memory_links import MemoryLinks, sample
from vpn.domain.links import LinkView, Shop
from vpn.webhooks import SubscriptionLinks

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("platform"),
    pytest.mark.asyncio(loop_scope="session"),
]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOKEN = "Zx9_aB-3" * 4
PHONE = {"width": 390, "height": 844}
FINGER_PIXELS = 44
QUIET_MODULES = 4
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"
ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/141.0 Mobile Safari"
RUNNING = sample(NOW + timedelta(days=12))


@dataclasses.dataclass
class Opened:
    page: Page
    link: str


@asynccontextmanager
async def opened(
    browser: Browser,
    view: LinkView,
    *,
    agent: str = IPHONE,
    locale: str = "en-US",
    dark: bool = False,
) -> AsyncIterator[Opened]:
    """The page on a phone; at its end nothing was loaded from elsewhere and nothing complained."""
    links = MemoryLinks({TOKEN: view})
    shop = Shop(
        title="Vitrine VPN", base_url="https://sub.example.com", support_url="https://t.me/example"
    )
    titles = {"en": {"vpn-month": "30 days"}, "ru": {"vpn-month": "30 дней"}}
    server = SubscriptionLinks(
        links, shop, clock=FakeClock(NOW), titles=titles, host="127.0.0.1", port=0
    )
    await server.start()
    origin = f"http://127.0.0.1:{server.port}"
    context = await browser.new_context(
        viewport=PHONE,
        user_agent=agent,
        locale=locale,
        timezone_id="Europe/Moscow",
        has_touch=True,
        is_mobile=True,
        device_scale_factor=2,
        color_scheme="dark" if dark else "light",
    )
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: said.type == "error" and problems.append(said.text))
    page.on(
        "request",
        lambda asked: asked.url.startswith(origin) or problems.append(f"loaded {asked.url}"),
    )
    try:
        await page.goto(f"{origin}/sub/{TOKEN}")
        yield Opened(page, shop.link(TOKEN))
    finally:
        await context.close()
        await server.stop()
    assert problems == []


async def too_wide(page: Page) -> bool:
    wide: bool = await page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return wide


async def open_all(page: Page) -> None:
    # Details of one name close each other; for measuring all are wanted open.
    await page.evaluate(
        "document.querySelectorAll('details')"
        ".forEach(d => {d.removeAttribute('name'); d.open = true})"
    )


@pytest.mark.parametrize("locale", ["en-US", "ru-RU"])
async def test_the_page_fits_a_phone_and_a_finger(browser: Browser, locale: str):
    long = dataclasses.replace(RUNNING.nodes[0], name="A very long name of a server" * 4)
    view = dataclasses.replace(RUNNING, nodes=(*RUNNING.nodes, long))

    async with opened(browser, view, locale=locale) as shown:
        first = await too_wide(shown.page)
        await open_all(shown.page)
        sizes = await shown.page.eval_on_selector_all(
            "a, button, input, summary",
            "all => all.map(e => {const b = e.getBoundingClientRect(); "
            "return [e.textContent.trim(), b.width, b.height]})",
        )
        wide = await too_wide(shown.page)

    assert not first
    assert not wide
    assert len(sizes) > 40
    assert [each for each in sizes if min(each[1], each[2]) < FINGER_PIXELS] == []


async def test_a_camera_reads_the_link_from_the_qr_code(browser: Browser):
    async with opened(browser, RUNNING) as shown:
        await shown.page.get_by_text("QR code for another device").click()
        picture = await shown.page.locator("[data-testid=qr] svg").screenshot()
        link = shown.link

    image = Image.open(io.BytesIO(picture)).convert("L")
    expected = [[bool(each) for each in row] for row in segno.make_qr(link, error="m").matrix]
    modules = len(expected) + 2 * QUIET_MODULES
    pixels = image.width / modules
    seen = [
        [
            image.getpixel((int((x + 0.5) * pixels), int((y + 0.5) * pixels))) < 128
            for x in range(modules)
        ]
        for y in range(modules)
    ]
    inner = slice(QUIET_MODULES, -QUIET_MODULES)
    assert image.width == pytest.approx(image.height, abs=2)
    assert [row[inner] for row in seen[inner]] == expected
    assert sum(map(sum, seen)) == sum(map(sum, expected)), "the quiet zone is white"


async def test_the_link_is_copied_with_one_tap(browser: Browser):
    async with opened(browser, RUNNING) as shown:
        await shown.page.get_by_role("button", name="Copy the link").tap()
        await shown.page.get_by_role("button", name="Copied").wait_for()
        copied = await shown.page.evaluate("navigator.clipboard.readText()")
        link = shown.link

    assert copied == link


@pytest.mark.parametrize(
    ("agent", "platform", "apps"),
    [
        (IPHONE, "ios", {"happ", "v2raytun", "streisand", "hiddify", "sing-box", "stash"}),
        (ANDROID, "android", {"happ", "v2raytun", "v2rayng", "hiddify", "sing-box", "clashmeta"}),
    ],
)
async def test_the_phones_own_apps_are_offered_first(
    browser: Browser, agent: str, platform: str, apps: set[str]
):
    async with opened(browser, RUNNING, agent=agent) as shown:
        groups = await shown.page.eval_on_selector_all(
            "[data-platform]", "all => all.map(e => [e.dataset.platform, e.open])"
        )
        addresses = await shown.page.eval_on_selector_all(
            f"[data-platform={platform}] a.strong", "all => all.map(e => e.getAttribute('href'))"
        )
        link = shown.link

    assert groups[0] == [platform, True]
    assert not any(is_open for _, is_open in groups[1:])
    assert {urlsplit(each).scheme for each in addresses} == apps
    for each in addresses:
        named = parse_qs(urlsplit(each).query).get("url", [""])[0]
        assert link in (named, unquote(each.partition("#")[0])[-len(link) :])


async def test_it_says_what_is_left_in_the_persons_words(browser: Browser):
    async with opened(browser, RUNNING, locale="ru-RU") as shown:
        russian = await shown.page.inner_text("main")
        bar = await shown.page.eval_on_selector("progress", "e => e.value / e.max")
        await shown.page.get_by_role("link", name="EN").tap()
        await shown.page.get_by_text("days left").wait_for()
        english = await shown.page.inner_text("main")

    assert "Работает" in russian
    assert "Осталось 12 дней" in russian
    assert "33 ГБ из 100 ГБ" in russian
    assert "30 дней" in russian
    assert "4 дек. 2026" in russian
    assert "15:00" in russian, "the phone's own time zone"
    assert bar == pytest.approx(0.33)
    assert "12 days left" in english
    assert "33 GB of 100 GB" in english
    assert "Франкфурт №1" in english


@pytest.mark.parametrize(
    ("changes", "badge", "notice"),
    [
        ({"until": NOW}, "Does not work", "Access has ended"),
        ({"limit_bytes": 1}, "Does not work", "All traffic is used"),
        (
            {"state": STATE_GRACE, "until": NOW, "grace_until": NOW + timedelta(days=1)},
            "Works a little longer",
            "Renew it in the bot",
        ),
    ],
)
async def test_it_says_why_nothing_passes(
    browser: Browser, changes: dict[str, object], badge: str, notice: str
):
    view = dataclasses.replace(RUNNING, **changes)  # type: ignore[arg-type]

    async with opened(browser, view) as shown:
        said = await shown.page.inner_text("main")

    assert badge in said
    assert notice in said
    assert ("left" in said) == (view.until > NOW)


async def test_without_a_script_everything_but_copying_works(browser: Browser):
    async with opened(browser, RUNNING) as shown:
        plain = await browser.new_context(
            viewport=PHONE, java_script_enabled=False, user_agent=ANDROID
        )
        page = await plain.new_page()
        await page.goto(shown.page.url)
        await page.get_by_text("QR code for another device").click()
        visible = await page.locator("[data-testid=qr] svg").is_visible()
        selected = await page.input_value("#link")
        await plain.close()

    assert visible
    assert selected == shown.link
