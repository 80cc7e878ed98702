"""The browser page, driven as a person would: chat, buttons, upload, payment."""

from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    KeyboardButton,
    LabeledPrice,
    ReplyKeyboardMarkup,
)

from devstack.browser import ARGUMENTS

USER = 1001


@pytest.mark.parametrize(
    "path", ["/", "/assets/app.js", "/assets/chat.js", "/assets/style.css", "/assets/icon.svg"]
)
async def test_the_page_comes_whole_from_the_package(sim, path):
    async with aiohttp.ClientSession() as session:
        async with session.get(sim.url + path) as response:
            text = await response.text()

    assert response.status == 200
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert "https://" not in text.replace("https://${", ""), "nothing is loaded from elsewhere"


@asynccontextmanager
async def opened(url: str, chromium: str):
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = await browser.new_page(viewport={"width": 1200, "height": 800})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: said.type == "error" and problems.append(said.text))
        await page.goto(url)
        await page.wait_for_selector("body[data-ready]")
        yield page
        await browser.close()
        assert problems == []


@pytest.mark.browser
@pytest.mark.xdist_group("platform")  # one process asks for the browser: two would fight over apt
async def test_a_person_chats_in_the_browser(
    sim, bot, control, wait_update, make_picture, chromium
):
    async with opened(sim.url, chromium) as page:
        await page.get_by_test_id("start").click()
        started = await wait_update(bot, "message")
        keys = [[InlineKeyboardButton(text="Go", callback_data="go")]]
        sent = await bot.send_message(
            started.message.chat.id,
            "Hello <b>there</b>",
            parse_mode="HTML",
            reply_markup=InlineKeyboardMarkup(inline_keyboard=keys),
        )
        await page.locator("[data-testid=text] b", has_text="there").wait_for()

        await page.get_by_test_id("button").filter(has_text="Go").click()
        query = (await wait_update(bot, "callback_query")).callback_query
        await bot.answer_callback_query(query.id, text="On it")
        await page.get_by_test_id("toast").filter(has_text="On it").wait_for()
        await bot.edit_message_text("63 %", chat_id=USER, message_id=sent.message_id)
        await page.locator("[data-edits='1']", has_text="63 %").wait_for()

        picture = {
            "name": "a.jpg",
            "mimeType": "image/jpeg",
            "buffer": make_picture("JPEG", (9, 9)),
        }
        await page.get_by_test_id("upload").set_input_files(picture)
        await page.get_by_test_id("composer").fill("my photo")
        await page.get_by_test_id("send").click()
        photo = (await wait_update(bot, "message")).message
        await page.locator("[data-from=user] img[data-testid=media]").wait_for()

        await bot.send_document(USER, BufferedInputFile(b"x", "result.bin"))
        keyboard = ReplyKeyboardMarkup(keyboard=[[KeyboardButton(text="Balance")]])
        await bot.send_message(USER, "Choose", reply_markup=keyboard)
        await page.get_by_test_id("reply-button").click()
        balance = (await wait_update(bot, "message")).message

        await bot.delete_message(USER, sent.message_id)
        await page.locator(f"[data-message-id='{sent.message_id}']").wait_for(state="detached")

    assert started.message.text == "/start"
    assert photo.caption == "my photo"
    assert balance.text == "Balance"


@pytest.mark.browser
@pytest.mark.xdist_group("platform")  # one process asks for the browser: two would fight over apt
async def test_a_person_pays_in_the_browser(sim, bot, control, wait_update, chromium):
    await control.say(USER, "/start")
    await bot.send_invoice(
        USER,
        title="100 credits",
        description="For pictures",
        payload="pay-1",
        currency="XTR",
        prices=[LabeledPrice(label="100 credits", amount=50)],
    )
    async with opened(f"{sim.url}/?user={USER}", chromium) as page:
        await page.get_by_test_id("button").click()
        await page.get_by_test_id("pay-confirm").click()
        query = (await wait_update(bot, "pre_checkout_query")).pre_checkout_query
        await bot.answer_pre_checkout_query(query.id, ok=False, error_message="Sold out")
        await page.get_by_test_id("pay-status").filter(has_text="Sold out").wait_for()
        await page.get_by_test_id("pay-cancel").click()

        await page.get_by_test_id("button").click()
        await page.get_by_test_id("pay-confirm").click()
        query = (await wait_update(bot, "pre_checkout_query")).pre_checkout_query
        await bot.answer_pre_checkout_query(query.id, ok=True)
        await page.get_by_text("You paid").wait_for()

    assert (await bot.get_my_star_balance()).amount == 50
