"""A person in a browser: from /start to the picture, and what it did to their credits."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from devstack.browser_chat import Screen
from devstack.customer import Customer
from devstack.stage import Stage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("platform"),
    pytest.mark.asyncio(loop_scope="session"),
]

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "images"
BESIDE = 1002
SMALL = (60, 40)
# What Pillow reports of a bare JPEG or PNG; prompts, EXIF, GPS and comments would be more.
PLAIN = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}


async def test_a_photo_becomes_a_scene_for_ten_credits(
    steady: Stage, open_chat, coffee: bytes
) -> None:
    async with open_chat("Anna") as (screen, customer):
        await screen.start()
        await screen.send_photo(coffee)
        await screen.tap("Product scene")
        await screen.said("You have 20 credits").wait_for()
        await screen.tap("Confirm – 10 credits")
        await screen.result()
        await screen.said("ready!").wait_for()
        await keep_screenshot(steady, screen, coffee)
        await screen.tap("As file")
        file = await the_file(customer)
        await screen.say("/balance")
        await screen.said("Available: 10 credits").wait_for()
        await screen.say("/history")
        history = await screen.said("trial credits ·").inner_text()

    account = await steady.account(customer.chat.user_id)
    assert (account.available, account.held) == (10, 0)
    assert "−10 · reserved" in history
    assert "charged 10 from the reserve" in history
    assert metadata_of(file) == set()
    assert difference(Image.open(io.BytesIO(file)), Image.open(io.BytesIO(coffee))) > 20


async def test_a_phone_photo_is_enhanced_for_free_upright_and_without_its_place(
    steady: Stage, open_chat, coffee_from_a_phone: bytes
) -> None:
    async with open_chat("Ben") as (screen, customer):
        await screen.start()
        await screen.send_photo(coffee_from_a_phone, as_document=True)
        await screen.tap("Enhance photo")
        await screen.said("Price: free").wait_for()
        await screen.tap("Confirm – free")
        await screen.result()
        await screen.tap("As file")
        file = await the_file(customer)

    taken = Image.open(io.BytesIO(coffee_from_a_phone))
    upright = ImageOps.exif_transpose(taken)
    enhanced = Image.open(io.BytesIO(file))
    account = await steady.account(customer.chat.user_id)
    assert (account.available, account.held) == (20, 0)
    assert {"exif", "34853"} <= metadata_of(coffee_from_a_phone), "GPS is tag 34853"
    assert metadata_of(file) == set()
    assert enhanced.width > enhanced.height, "the phone was held sideways"
    assert 0.3 < difference(enhanced, upright) < 25, "another picture of the same cup"
    assert difference(enhanced, upright) < difference(enhanced, upright.rotate(180)) / 2


async def test_who_has_too_few_credits_is_told_how_many_are_missing(
    steady: Stage, open_chat, coffee: bytes
) -> None:
    async with open_chat("Cleo") as (screen, customer):
        await screen.start()
        before = await steady.account(customer.chat.user_id)
        await screen.send_photo(coffee)
        await screen.tap("Orbit video")
        await screen.tap("Confirm – 30 credits")
        refusal = await screen.said("I could not take this order").inner_text()

    assert "It costs 30 credits, you have 20 credits: 10 credits are missing." in refusal
    assert "You were not charged." in refusal
    assert await steady.account(customer.chat.user_id) == before


async def the_file(customer: Customer) -> bytes:
    message = await customer.chat.wait_for(lambda said: said.media_kind == "document", "the file")
    return await customer.chat.download(message)


def metadata_of(file: bytes) -> set[str]:
    """Everything a picture carries beside its pixels."""
    opened = Image.open(io.BytesIO(file))
    opened.load()
    return {*opened.info, *map(str, opened.getexif())} - PLAIN


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures are apart, 0 to 255, whatever their sizes."""
    small = [picture.convert("RGB").resize(SMALL, Image.Resampling.BOX) for picture in (one, other)]
    means = ImageStat.Stat(ImageChops.difference(*small)).mean
    return sum(means) / len(means)


async def keep_screenshot(stage: Stage, screen: Screen, photo: bytes) -> None:
    """The README's picture: a finished order, and beside it one under way, in Russian."""
    if os.environ.get("VITRINE_SCREENSHOTS") != "1":
        return
    await stage.comfyui("time_scale", {"time_scale": 1.0, "job_seconds": 15.0})
    await stage.register(BESIDE, "Борис", "ru")
    row = screen.page.locator(f"[data-testid=user][data-user-id='{BESIDE}']")
    await row.hover()
    await row.get_by_test_id("open-beside").click()
    beside = Screen(screen.page, BESIDE)
    await beside.start("20")
    await beside.send_photo(photo)
    await beside.tap("10")
    await beside.tap("✅")
    await beside.said("%").wait_for()
    await screen.page.wait_for_timeout(4_000)  # progress comes in steps, toasts fade away
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await screen.page.screenshot(path=SCREENSHOTS / "chat.png")
