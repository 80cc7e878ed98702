"""A person in a browser and VPN: the trial in the chat, and its link opened on a phone."""

import os
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from playwright.async_api import Browser, ViewportSize

from devstack.browser_chat import Screen
from devstack.customer import Customer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("platform"),
    pytest.mark.asyncio(loop_scope="session"),
]

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "vpn.png"
PHONE: ViewportSize = {"width": 390, "height": 844}
OpenChat = Callable[..., AbstractAsyncContextManager[tuple[Screen, Customer]]]


async def test_the_link_of_a_trial_opens_on_a_phone(open_chat: OpenChat, browser: Browser) -> None:
    async with open_chat("Vera") as (screen, _):
        await screen.start()
        offer = await screen.ask("/vpn", "One link for all your devices")
        await screen.tap("3 days")
        await screen.hears("Your trial runs until")
        shown = await screen.ask("/vpn", "Trial until")
        await keep_screenshot(screen)

    assert "30 days – 150 credits" in offer
    assert "🟢 Europe" in shown
    assert "of 10 GB" in shown
    link = re.search(r"http://\S+/sub/\S+", shown)
    assert link is not None
    phone = await browser.new_page(viewport=PHONE, locale="en-US")
    await phone.goto(link.group(0))
    page = await phone.inner_text("main")
    qr = await phone.locator("[data-testid=qr] svg").count()
    await phone.close()
    assert "Trial" in page
    assert "0 B of 10 GB" in page
    assert qr == 1


async def keep_screenshot(screen: Screen) -> None:
    """The README's picture of it."""
    if os.environ.get("VITRINE_SCREENSHOTS") != "1":
        return
    await screen.page.wait_for_timeout(4_500)  # toasts fade away
    await screen.page.screenshot(path=SCREENSHOT)
