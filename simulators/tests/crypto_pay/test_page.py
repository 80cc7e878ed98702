"""The pay page: with plain requests, and in a real browser with scripts switched off."""

import aiohttp
import pytest

from devstack.browser import ARGUMENTS

FIAT = {
    "currency_type": "fiat",
    "fiat": "RUB",
    "amount": "500",
    "accepted_assets": "USDT,TON",
    "description": "100 credits <b>now</b>",
    "hidden_message": "Thank you!",
    "paid_btn_name": "openBot",
    "expires_in": 600,
}


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def invoice(call, control, sim):
    await control.rates({"USDT/RUB": "80", "TON/RUB": "200"})
    return await call("createInvoice", **FIAT, paid_btn_url=f"{sim.url}/?back=1&x=2")


async def read(session, url, **options):
    async with session.get(url, **options) as response:
        return response.status, await response.text(), response.headers


@pytest.mark.parametrize("path", ["/", "/assets/style.css", "/assets/icon.svg"])
async def test_the_page_comes_whole_from_the_package(sim, session, path):
    status, text, headers = await read(session, sim.url + path)

    assert status == 200
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


async def test_the_page_shows_what_it_costs_in_each_asset(session, invoice):
    status, text, _ = await read(session, invoice["bot_invoice_url"])

    assert status == 200
    assert "500 <small>RUB</small>" in text
    assert "100 credits &lt;b&gt;now&lt;/b&gt;" in text
    assert "6.25 USDT" in text
    assert "2.5 TON" in text
    assert "Bitcoin" not in text
    assert "Valid until" in text


async def test_the_page_speaks_russian_to_a_russian_browser(session, invoice):
    headers = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.8"}

    _, text, _ = await read(session, invoice["bot_invoice_url"], headers=headers)

    assert "Оплатить" in text
    assert '<html lang="ru">' in text


async def test_a_posted_form_pays_and_a_second_one_does_not(session, invoice, control, receiver):
    form = {"asset": "TON", "comment": "hi", "anonymous": "1", "user": "42"}
    async with session.post(invoice["bot_invoice_url"], data=form) as response:
        text = await response.text()
        redirects = [answer.status for answer in response.history]
    async with session.post(invoice["bot_invoice_url"], data=form) as again:
        refused = again.status

    paid = await control.invoice(invoice["invoice_id"])
    assert (paid["status"], paid["paid_asset"], paid["paid_amount"]) == ("paid", "TON", "2.5")
    assert (paid["comment"], paid["paid_anonymously"], paid["paid_by"]) == ("hi", True, 42)
    assert "Thank you!" in text
    assert "/?back=1&amp;x=2" in text
    assert redirects == [303], "a reload of the page posts nothing"
    assert refused == 409
    await control.wait_webhook(invoice["invoice_id"])
    assert len(receiver.received) == 1


async def test_an_invoice_without_comments_and_anonymity_shows_neither(session, call, control):
    made = await call(
        "createInvoice", asset="TON", amount="1", allow_comments=False, allow_anonymous=False
    )
    _, text, _ = await read(session, made["bot_invoice_url"])
    form = {"asset": "TON", "comment": "hi", "anonymous": "1"}
    async with session.post(made["bot_invoice_url"], data=form):
        paid = await control.invoice(made["invoice_id"])

    assert 'name="comment"' not in text
    assert 'name="anonymous"' not in text
    assert (paid["paid_anonymously"], paid.get("comment")) == (False, None)


async def test_other_states_are_shown_in_words(session, invoice, control, sim):
    await control.rates({"USDT/RUB": None, "TON/RUB": None})
    _, without_rates, _ = await read(session, invoice["bot_invoice_url"])
    await control.advance(601)
    _, expired, _ = await read(session, invoice["bot_invoice_url"])
    status, missing, _ = await read(session, f"{sim.url}/pay/IVnothing")
    _, listed, _ = await read(session, sim.url)

    assert "No rate is known" in without_rates
    assert "has expired" in expired
    assert "<form" not in expired
    assert (status, "no such invoice" in missing) == (404, True)
    assert f"/pay/{invoice['hash']}" in listed


@pytest.mark.browser
@pytest.mark.xdist_group("platform")  # one process asks for the browser: two would fight over apt
async def test_a_person_pays_in_the_browser_without_scripts(invoice, control, receiver, chromium):
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = await browser.new_page(
            java_script_enabled=False, viewport={"width": 420, "height": 820}
        )
        problems: list[str] = []
        page.on("console", lambda said: said.type == "error" and problems.append(said.text))
        await page.goto(f"{invoice['bot_invoice_url']}?user=42")
        await page.get_by_test_id("asset-TON").click()
        await page.get_by_test_id("comment").fill("for the cat")
        await page.get_by_test_id("pay").click()
        await page.get_by_test_id("status").filter(has_text="Paid").wait_for()
        amount = await page.get_by_test_id("amount").inner_text()
        await page.get_by_test_id("back").click()
        await page.wait_for_url("**/?back=1&x=2")
        await browser.close()

    assert problems == []
    assert amount.split() == ["2.5", "TON"]
    paid = await control.invoice(invoice["invoice_id"])
    assert (paid["comment"], paid["paid_by"]) == ("for the cat", 42)
    assert (await receiver.until(1))[0].genuine
