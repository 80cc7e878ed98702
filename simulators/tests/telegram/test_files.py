"""Photos in several sizes, documents as they are, downloads with their limits."""

import asyncio
import io
import time

import pytest
from aiogram.exceptions import TelegramBadRequest, TelegramEntityTooLarge
from aiogram.types import BufferedInputFile, InputMediaDocument, InputMediaPhoto
from PIL import Image

from devstack.testing import wait_until
from simulators.telegram import TelegramSimulator
from simulators.telegram.files import FileStore
from simulators.telegram.store import Store
from simulators.telegram.testing import ControlClient
from simulators.telegram.world import MESSAGE_IDS_PER_SECOND, UPDATE_IDS_PER_SECOND, first_id

USER = 10
BIG = 21 * 1_024 * 1_024


@pytest.fixture(autouse=True)
async def chat(control):
    await control.say(USER, "/start")


async def last_update(bot):
    return (await bot.get_updates(offset=-1))[0]


async def test_a_photo_comes_in_several_sizes_and_can_be_downloaded(bot, control, make_picture):
    made = await control.send_file(USER, make_picture("PNG", (2_000, 1_000)), caption="my shoe")

    message = (await last_update(bot)).message
    sizes = message.photo
    downloaded = await bot.download(sizes[-1])

    assert made["kind"] == "photo"
    assert message.caption == "my shoe"
    assert [(s.width, s.height) for s in sizes] == [(90, 45), (320, 160), (800, 400), (1280, 640)]
    assert len({s.file_unique_id for s in sizes}) == 4
    assert Image.open(downloaded).size == (1280, 640)
    assert sizes[-1].file_size == len(downloaded.getvalue())


async def test_the_same_bytes_keep_their_unique_id_under_new_file_ids(bot, control, jpeg):
    ids = []
    for _ in range(2):
        await control.send_file(USER, jpeg, name="a.jpg", as_document=True)
        ids.append((await last_update(bot)).message.document)

    assert ids[0].file_unique_id == ids[1].file_unique_id
    assert ids[0].file_id != ids[1].file_id


async def test_a_document_keeps_its_bytes_name_and_type(bot, control):
    await control.send_file(
        USER, b"%PDF-1.4 ...", name="прайс.pdf", mime="application/pdf", as_document=True
    )

    document = (await last_update(bot)).message.document

    assert (document.file_name, document.mime_type) == ("прайс.pdf", "application/pdf")
    assert (await bot.download(document)).getvalue() == b"%PDF-1.4 ..."


@pytest.mark.parametrize(
    ("data", "mime", "kind"),
    [
        (b"not an image at all", "image/jpeg", "document"),
        (b"GIF89a" + b"\0" * 20, "image/gif", "animation"),
        (b"ID3", "audio/mpeg", "audio"),
    ],
)
async def test_a_client_chooses_the_kind_by_the_content(control, data, mime, kind):
    assert (await control.send_file(USER, data, mime=mime))["kind"] == kind


async def test_a_truncated_picture_travels_as_a_document(control, make_picture):
    whole = make_picture("PNG", (300, 300))

    assert (await control.send_file(USER, whole[: len(whole) // 2]))["kind"] == "document"


async def test_a_video_has_its_frame_and_duration(bot, control, mp4):
    await control.send_file(USER, mp4, name="clip.mp4", mime="video/mp4")

    video = (await last_update(bot)).message.video

    assert (video.width, video.height, video.duration) == (64, 48, 2)
    assert (await bot.download(video)).getvalue() == mp4


async def test_several_files_make_an_album(bot, control, jpeg, sim):
    import aiohttp

    form = aiohttp.FormData()
    for number in range(2):
        form.add_field("file", jpeg, filename=f"{number}.jpg", content_type="image/jpeg")
    made = await control.call("POST", f"/users/{USER}/photos", data=form)

    updates = [u for u in await bot.get_updates() if u.message.photo]

    assert [u.update_id for u in updates] == [m["update_id"] for m in made["messages"]]
    assert len({u.message.media_group_id for u in updates}) == 1


async def test_the_same_bytes_may_be_kept_many_times_in_the_same_moment(tmp_path):
    files, data = FileStore(Store(None), tmp_path), bytes(4_000_000)

    adding = (files.add("document", data, name="same.bin", mime=None) for _ in range(16))
    kept = await asyncio.gather(*adding)

    assert {files.location(each).read_bytes() for each in kept} == {data}


async def test_files_over_20_mb_are_only_for_a_local_server(bot, control):
    await control.send_file(USER, bytes(BIG), name="big.bin", mime="", as_document=True)
    document = (await last_update(bot)).message.document
    assert document.file_size == BIG

    with pytest.raises(TelegramBadRequest, match="file is too big"):
        await bot.get_file(document.file_id)
    await control.call("POST", "/settings", json={"local": True})

    assert len((await bot.download(document)).getvalue()) == BIG


async def test_unknown_files(bot, sim):
    with pytest.raises(TelegramBadRequest, match="wrong file_id or the file is temporarily"):
        await bot.get_file("nonsense")
    with pytest.raises(TelegramBadRequest, match="wrong remote file identifier specified"):
        await bot.send_photo(USER, "nonsense")


async def test_a_sent_file_can_be_sent_again_by_its_id(bot, jpeg, control):
    sent = await bot.send_photo(USER, BufferedInputFile(jpeg, "a.jpg"))

    again = await bot.send_photo(USER, sent.photo[-1].file_id, caption="again")

    assert again.photo == sent.photo
    with pytest.raises(TelegramBadRequest, match="can't use file of type Photo as Document"):
        await bot.send_document(USER, sent.photo[-1].file_id)


async def test_albums_are_checked(bot, jpeg):
    photo = InputMediaPhoto(media=BufferedInputFile(jpeg, "a.jpg"))
    document = InputMediaDocument(media=BufferedInputFile(b"x", "a.txt"))

    assert len(await bot.send_media_group(USER, [photo, photo])) == 2
    with pytest.raises(TelegramBadRequest, match="media of the specified type in the album"):
        await bot.send_media_group(USER, [photo, document])
    with pytest.raises(TelegramBadRequest, match="too many messages"):
        await bot.send_media_group(USER, [photo] * 11)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"not an image", "IMAGE_PROCESS_FAILED"), (b"", "file must be non-empty")],
)
async def test_wrong_photos_from_the_bot_are_refused(bot, data, reason):
    with pytest.raises(TelegramBadRequest, match=reason):
        await bot.send_photo(USER, BufferedInputFile(data, "a.jpg"))


async def test_too_long_captions_and_too_large_photos_are_refused(bot, jpeg, make_picture):
    with pytest.raises(TelegramBadRequest, match="message caption is too long"):
        await bot.send_photo(USER, BufferedInputFile(jpeg, "a.jpg"), caption="x" * 1_025)
    with pytest.raises(TelegramBadRequest, match="PHOTO_INVALID_DIMENSIONS"):
        await bot.send_photo(USER, BufferedInputFile(make_picture("PNG", (9_990, 20)), "a.png"))
    with pytest.raises(TelegramEntityTooLarge):
        await bot.send_photo(USER, BufferedInputFile(bytes(10_000_001), "a.jpg"))


async def test_media_of_a_message_can_be_replaced(bot, control, jpeg):
    sent = await bot.send_message(USER, "working")

    await bot.edit_message_media(
        InputMediaPhoto(media=BufferedInputFile(jpeg, "a.jpg"), caption="done"),
        chat_id=USER,
        message_id=sent.message_id,
    )

    message = await control.wait_message(USER, lambda m: m["media"] is not None)
    assert (message["text"], message["caption"]) == (None, "done")
    assert message["media"]["kind"] == "photo"


async def test_the_page_can_show_what_was_sent(bot, control, mp4):
    import aiohttp

    await bot.send_video(USER, BufferedInputFile(mp4, "clip.mp4"))
    media = (await control.wait_message(USER))["media"]

    async with aiohttp.ClientSession() as session:
        ranged = {"Range": "bytes=0-9"}
        async with session.get(media["url"], headers=ranged) as response:
            body = await response.read()

    assert (response.status, response.content_type) == (206, "video/mp4")
    assert body == mp4[:10]


async def test_everything_survives_a_restart(tmp_path, jpeg):
    state = tmp_path / "telegram.db"
    async with TelegramSimulator(state=state) as first, ControlClient(first.url) as control:
        await control.user(USER, first_name="Anna", language_code="ru")
        said = await control.say(USER, "before")
        shown = await control.send_file(USER, jpeg)

    async with TelegramSimulator(state=state) as second, ControlClient(second.url) as control:
        messages = await control.messages(USER)
        pending = (await control.call("GET", "/updates"))["pending"]
        after = await control.say(USER, "after")
        import aiohttp

        async with aiohttp.ClientSession() as session:
            url = f"{second.url}{messages[1]['media']['path']}"
            async with session.get(url) as response:
                picture = await response.read()

    assert [m["message_id"] for m in messages] == [said["message_id"], shown["message_id"]]
    assert messages[0]["user"]["first_name"] == "Anna"
    assert Image.open(io.BytesIO(picture)).size == (400, 300)
    assert pending == [said["update_id"], shown["update_id"]]
    assert after["update_id"] > shown["update_id"]
    assert after["message_id"] > shown["message_id"]


async def test_ids_are_not_reused_without_a_state_file():
    made = []
    for _ in range(2):
        async with TelegramSimulator() as sim, ControlClient(sim.url) as control:
            for _ in range(5):
                made.append(await control.say(USER, "hi"))
            await control.reset()
            made.append(await control.say(USER, "hi"))
        # Ids grow with time: where a server starts again, so much has passed since it stopped.
        await wait_until(lambda: _next_ids_exceed(made[-1]), "ids of a later life")

    for name in ("update_id", "message_id"):
        assert len({entry[name] for entry in made}) == len(made)


def _next_ids_exceed(last):
    return (
        first_id(time.time(), MESSAGE_IDS_PER_SECOND) > last["message_id"]
        and first_id(time.time(), UPDATE_IDS_PER_SECOND) > last["update_id"]
    )
