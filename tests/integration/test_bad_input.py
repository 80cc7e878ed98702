"""Whatever people and machines send: a clear answer or a parked message, and never a charge."""

import io
import struct
import zlib
from collections.abc import Iterator
from uuid import UUID

import pytest
from PIL import Image

from chassis.clock import new_id
from devstack.chat import Button
from devstack.customer import (
    CANCEL_PREFIX,
    CONFIRM_PREFIX,
    PRODUCT_SCENE,
    Customer,
    packed,
)
from devstack.stage import Account, Stage

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]

TRIAL = Account(available=20, held=0, transfers=1)
MEGABYTE = 1 << 20
PATIENCE_SECONDS = 60.0


def bomb() -> bytes:
    """A PNG of 13000 x 13000 black pixels in a few kilobytes."""
    side = 13_000
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    row = b"\0" * (1 + (side + 7) // 8)
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def moving_gif() -> bytes:
    frames = [Image.new("RGB", (80, 80), (40 * number, 90, 200)) for number in range(3)]
    output = io.BytesIO()
    frames[0].save(output, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return output.getvalue()


async def send(customer: Customer, file: bytes, name: str, mime: str, words: str) -> None:
    """Send a file and wait until the bot says what is wrong with it."""
    after = await customer.newest()
    as_document = not name.endswith(".gif")
    await customer.chat.send_file(file, name, mime, as_document=as_document)
    answer = await customer.chat.wait_for(
        lambda said: words in said.text, f"answer with {words!r}", after=after
    )
    assert not [button for button in answer.buttons if button.data.startswith("w:")]


@pytest.mark.parametrize(
    ("file", "name", "mime", "words"),
    [
        (lambda _: b"just words", "notes.txt", "text/plain", "not a picture I can read"),
        (lambda _: b"just words", "photo.jpg", "image/jpeg", "not a picture I can read"),
        (lambda jpeg: jpeg[: len(jpeg) // 2], "half.jpg", "image/jpeg", "incomplete or damaged"),
        (lambda _: bomb(), "bomb.png", "image/png", "too many pixels"),
        (lambda _: moving_gif(), "funny.gif", "image/gif", "Animated pictures do not work"),
        (lambda _: moving_gif(), "funny.png", "image/png", "Animated pictures do not work"),
        (lambda jpeg: jpeg + bytes(60 * MEGABYTE), "big.jpg", "image/jpeg", "up to 20 MB"),
    ],
    ids=["text", "text-as-jpeg", "truncated", "bomb", "gif", "gif-as-png", "60-megabytes"],
)
async def test_a_file_that_is_no_photo_is_answered_with_the_reason(
    steady: Stage, customer: Customer, coffee: bytes, file, name: str, mime: str, words: str
) -> None:
    await send(customer, file(coffee), name, mime, words)

    assert await steady.account(customer.chat.user_id) == TRIAL


async def test_words_where_a_photo_is_expected_are_answered_with_what_to_do(
    steady: Stage, customer: Customer
) -> None:
    unknown = await customer.ask("/teleport")
    chatter = await customer.ask("make me something nice")

    assert "I do not know this command" in unknown.text
    assert "Send me one photo" in chatter.text
    assert await steady.account(customer.chat.user_id) == TRIAL


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("order:42:product_scene", "out of date"),
        ("w:0:AAAAAAAAAAAAAAAAAAAAAA:image.enhance", "out of date"),
        (CONFIRM_PREFIX + packed(new_id()), "out of date"),
        (CANCEL_PREFIX + packed(new_id()), "out of date"),
        (f"w:1:{packed(new_id())}:image.enhance", "no longer have this photo"),
        (CONFIRM_PREFIX + "'; DROP TABLE screens; --", "out of date"),
        ("h:1:' OR 1=1", None),
        ("\x00\x7f🙈" * 8, "out of date"),
    ],
    ids=["ancient", "old", "confirm", "cancel", "choose", "sql", "cursor", "noise"],
)
async def test_an_old_or_forged_button_is_answered_and_changes_nothing(
    steady: Stage, customer: Customer, data: str, words: str | None
) -> None:
    welcome = (await customer.chat.messages())[0]

    toast = await customer.chat.tap(welcome, Button("forged", data))

    if words is not None:
        assert words in toast.text
    assert await steady.account(customer.chat.user_id) == TRIAL


async def test_the_button_of_another_person_is_refused(
    steady: Stage, customer: Customer, new_user: Iterator[int], coffee: bytes
) -> None:
    quote = await customer.quote(await customer.offer(coffee), PRODUCT_SCENE)
    thief = steady.customer(next(new_user))
    welcome = await thief.start()

    taken = await thief.chat.tap(welcome, quote.confirm)
    stopped = await thief.chat.tap(welcome, Button("", CANCEL_PREFIX + packed(quote.order_id)))

    assert "belongs to somebody else" in taken.text
    assert "belongs to somebody else" in stopped.text
    for person in (customer, thief):
        assert await steady.account(person.chat.user_id) == TRIAL


async def test_two_confirming_taps_are_one_order_and_one_charge(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    quote = await customer.quote(await customer.offer(coffee), PRODUCT_SCENE)

    for _ in range(3):
        await customer.chat.press(quote.message, quote.confirm)
    await customer.result(quote)
    late = await customer.chat.tap(quote.message, quote.confirm)

    assert "already finished" in late.text
    assert await orders_of(steady, customer) == {quote.order_id: "completed"}
    account = await steady.account(customer.chat.user_id)
    assert (account.available, account.held) == (10, 0)


async def test_who_has_no_credits_left_is_told_what_is_missing(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    offer = await customer.offer(coffee)
    first = await customer.quote(offer, PRODUCT_SCENE)
    second = await customer.quote(offer, PRODUCT_SCENE)
    third = await customer.quote(offer, PRODUCT_SCENE)
    for quote in (first, second):
        await customer.chat.press(quote.message, quote.confirm)
        await customer.status(quote, "accepted", "in the works", "ready")

    await customer.chat.press(third.message, third.confirm)
    refusal = await customer.status(third, "could not take this order")

    assert "It costs 10 credits, you have 0 credits: 10 credits are missing." in refusal.text
    assert "You were not charged." in refusal.text
    for quote in (first, second):
        await customer.result(quote)
    account = await steady.account(customer.chat.user_id)
    assert (account.available, account.held) == (0, 0)


async def orders_of(stage: Stage, customer: Customer) -> dict[UUID, str]:
    rows = await stage.fetch(
        "SELECT order_id, state FROM billing.orders WHERE user_id = $1", customer.chat.user_id
    )
    return {row["order_id"]: row["state"] for row in rows}
