"""The pay page with plain requests, and the program that serves it."""

from contextlib import asynccontextmanager

import aiohttp
import pytest

from devstack.browser import ARGUMENTS
from simulators.provider.testing import program
from simulators.yookassa.testing import ApiClient, ControlClient


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def read(session, url, **options):
    async with session.get(url, **options) as response:
        return response.status, await response.text(), response.headers


async def post(session, url, answer):
    async with session.post(url, data={"answer": answer}) as response:
        return response.status, await response.text()


async def test_the_page_shows_what_it_costs_and_pays(stand, session):
    made = await stand.make(description="100 credits <b>now</b>")
    url = made["confirmation"]["confirmation_url"]

    status, text, headers = await read(session, url)
    paid_status, paid = await post(session, url, "pay")
    again_status, _ = await post(session, url, "pay")

    assert status == 200
    assert "199.00 <small>RUB</small>" in text
    assert "100 credits &lt;b&gt;now&lt;/b&gt;" in text
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert (paid_status, again_status) == (200, 409)
    assert 'href="https://t.me/vitrine_bot"' in paid
    assert (await stand.control.payment(made["id"]))["status"] == "succeeded"
    assert len(await stand.receiver.until(1)) == 1


async def test_the_page_declines(stand, session):
    made = await stand.make()

    _, text = await post(session, made["confirmation"]["confirmation_url"], "decline")

    assert "general_decline" in text
    (got,) = await stand.receiver.until(1)
    assert got.event == "payment.canceled"


async def test_the_page_speaks_russian_and_knows_what_is_missing(stand, session):
    made = await stand.make()
    headers = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.8"}

    _, text, _ = await read(session, made["confirmation"]["confirmation_url"], headers=headers)
    missing, _, _ = await read(session, f"{stand.sim.url}/pay/nobody")
    _, everything, _ = await read(session, stand.sim.url)

    assert "Оплатить" in text
    assert missing == 404
    assert made["id"][:8] in everything
    for asset in ("style.css", "icon.svg"):
        assert (await read(session, f"{stand.sim.url}/assets/{asset}"))[0] == 200


@pytest.mark.browser
@pytest.mark.xdist_group("platform")  # one process asks for the browser: two would fight over apt
@pytest.mark.parametrize(
    ("button", "said", "became"),
    [("pay", "Paid", "succeeded"), ("decline", "canceled", "canceled")],
)
async def test_a_person_answers_in_the_browser(stand, chromium, button, said, became):
    from playwright.async_api import async_playwright

    made = await stand.make()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = await browser.new_page(java_script_enabled=False)
        await page.goto(made["confirmation"]["confirmation_url"])
        await page.get_by_test_id(button).click()
        await page.get_by_test_id("status").filter(has_text=said).wait_for()
        back = await page.get_by_test_id("back").get_attribute("href")
        await browser.close()

    assert back == "https://t.me/vitrine_bot"
    assert (await stand.control.payment(made["id"]))["status"] == became


@asynccontextmanager
async def running(**settings):
    environment = {f"YOOKASSA_SIMULATOR_{name}": value for name, value in settings.items()}
    async with program("simulators.yookassa", environment) as url, ControlClient(url) as control:
        yield control


async def test_payments_refunds_and_keys_survive_a_restart(tmp_path, wished):
    settings = {"STATE": str(tmp_path / "state.db"), "SHOP_ID": "7", "SECRET": "s"}
    async with running(**settings) as control:
        api = ApiClient(control, "7", "s")
        _, made = await api.post("/payments", wished(), key="k-1")
        await control.pay(made["id"])
        await control.refund(made["id"], amount="50.00")
        before = await control.payments(), await control.refunds()

    async with running(**settings, RECEIPTS="yes") as control:
        api = ApiClient(control, "7", "s")
        after = await control.payments(), await control.refunds()
        again = await api.post("/payments", wished(), key="k-1")
        refused, _ = await api.post("/payments", wished())

    assert before == after
    assert after[0][0]["refunded_amount"]["value"] == "50.00"
    assert again[1]["id"] == made["id"]
    assert refused == 400
