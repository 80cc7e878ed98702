"""Uploads: fetched behind the conversation, tried again, and ended with a clear word."""

import io
import os

import pytest
from PIL import Image

from chassis.objects import Objects
from chassis.testing import drain

pytestmark = pytest.mark.asyncio(loop_scope="module")
OPERATORS = 900
SETTLED = "SELECT state, error, ref, attempts FROM media WHERE user_id = $1"


async def settled(platform, person: int) -> dict:
    async def found() -> bool:
        rows = await platform.rows(SETTLED, person)
        return bool(rows) and rows[0]["state"] in ("available", "failed")

    await drain(found, what="the file is settled")
    return dict((await platform.rows(SETTLED, person))[0])


async def test_a_photo_is_stored_clean_with_its_digest(platform, person, gateway, picture):
    await platform.people.send_file(person, picture)

    row = await settled(platform, person)

    assert row["state"] == "available"
    stored = await Objects(platform.broker).get(row["ref"]["object_key"])
    assert len(stored) == row["ref"]["size_bytes"]
    assert Image.open(io.BytesIO(stored)).size == (row["ref"]["width"], row["ref"]["height"])
    thumbnail = await platform.value("SELECT thumbnail FROM media WHERE user_id = $1", person)
    assert await Objects(platform.broker).get(thumbnail["object_key"])


async def test_the_same_photo_again_is_one_row(platform, person, gateway, picture):
    sent = await platform.people.send_file(person, picture, as_document=True)
    await settled(platform, person)
    await platform.people.send_file(person, picture, as_document=True)
    await platform.people.wait_message(person, after=sent["message_id"] + 1)

    rows = await platform.rows("SELECT file_unique_id FROM media WHERE user_id = $1", person)
    assert len(rows) == len({row["file_unique_id"] for row in rows})


async def test_a_download_that_fails_is_tried_again(platform, person, gateway, picture):
    await platform.people.fault("500", method="file", times=1)

    await platform.people.send_file(person, picture)

    row = await settled(platform, person)
    assert (row["state"], row["attempts"]) == ("available", 2)


async def test_after_the_last_try_the_person_and_the_operators_are_told(
    platform, person, gateway, picture
):
    await platform.people.fault("500", method="getFile")

    await platform.people.send_file(person, picture)

    row = await settled(platform, person)
    assert (row["state"], row["error"]) == ("failed", "unreachable")
    await platform.people.clear_faults()
    notice = await platform.people.wait_message(OPERATORS)
    assert str(person) in notice["text"]


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"\xff\xd8\xff\xe0 not really", "not_an_image"), (b"", "not_an_image")],
)
async def test_what_is_no_picture_fails_at_once(platform, person, gateway, content, error):
    await platform.people.send_file(person, content or b"\x00", name="a.jpg", as_document=True)

    row = await settled(platform, person)
    assert (row["state"], row["error"], row["attempts"]) == ("failed", error, 1)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
async def test_a_bomb_is_refused(platform, person, gateway):
    bomb = io.BytesIO()
    Image.new("1", (13_000, 13_000)).save(bomb, "PNG")

    await platform.people.send_file(
        person, bomb.getvalue(), name="bomb.png", mime="image/png", as_document=True
    )

    row = await settled(platform, person)
    assert row["error"] == "too_many_pixels"
    answer = await platform.people.wait_message(person)
    assert answer


async def test_a_file_of_60_mb_is_answered_at_once(platform, person, gateway):
    await platform.people.send_file(person, os.urandom(60 << 20), name="big.jpg", as_document=True)

    answer = await platform.people.wait_message(person)

    assert "20" in answer["text"]
    assert await platform.rows(SETTLED, person) == []
