import pytest

from gateway.domain import keys
from gateway.domain.callbacks import ChooseWorkflow, pack

OVERSIZED = 60 * 1024 * 1024


def document(name, mime, size=1_000, unique="d"):
    return {
        "file_id": f"f-{name}",
        "file_unique_id": f"{unique}-{name}",
        "file_name": name,
        "mime_type": mime,
        "file_size": size,
    }


async def count_media(chat):
    return await chat.one("SELECT count(*) FROM media WHERE user_id = $1", chat.user_id)


async def test_a_photo_is_answered_at_once_with_what_can_be_made_of_it(chat):
    size = {"width": 800, "height": 600}
    small = {"file_id": "a", "file_unique_id": f"small{chat.user_id}", **size}
    large = {"file_id": "b", "file_unique_id": f"large{chat.user_id}", **size}

    answers = await chat.send(photo=[small, large])

    media_id = await chat.one("SELECT id FROM media WHERE user_id = $1", chat.user_id)
    kept = await chat.one("SELECT file_unique_id FROM media WHERE id = $1", media_id)
    assert kept == f"large{chat.user_id}"
    assert [(answer.kind, answer.key) for answer in answers] == [("send", keys.upload(media_id))]
    offered = [row[0].data for row in answers[0].screen.buttons]
    assert pack(ChooseWorkflow(media_id, "image.product_scene")) in offered
    assert pack(ChooseWorkflow(media_id, "video.orbit")) in offered
    assert answers[0].screen.buttons[1][0].text == "Product scene – 10 credits"


async def test_the_same_photo_again_is_the_same_row(chat):
    first = await chat.send_photo(f"u{chat.user_id}")

    assert await chat.send_photo(f"u{chat.user_id}") == first


async def test_every_photo_of_an_album_is_answered(chat):
    for number in range(3):
        name = f"{chat.user_id}-{number}"
        answers = await chat.send(
            media_group_id="9",
            photo=[{"file_id": name, "file_unique_id": name, "width": 1, "height": 1}],
        )
        assert answers[0].screen.buttons[0][0].data.startswith("w:1:")

    assert await count_media(chat) == 3


@pytest.mark.parametrize(
    ("name", "mime"), [("a.jpg", "image/jpeg"), ("a.WEBP", "application/octet-stream")]
)
async def test_a_photo_as_document_is_taken(chat, name, mime):
    file = document(name, mime, unique=str(chat.user_id))

    answers = await chat.send(document=file)

    assert "Got it" in answers[0].screen.text
    assert await count_media(chat) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"document": document("a.pdf", "application/pdf")}, "not a picture"),
        ({"document": document("a.txt", "text/plain")}, "not a picture"),
        ({"document": document("a.mp4", "video/mp4")}, "That is a video"),
        ({"document": document("a.gif", "image/gif")}, "Animated"),
        ({"document": document("a.png", "image/png", OVERSIZED)}, "up to 20 MB"),
        (
            {"voice": {"file_id": "v", "file_unique_id": "v", "duration": 1}},
            "only work with photos",
        ),
        ({"location": {"latitude": 1.0, "longitude": 1.0}}, "only work with photos"),
        ({"dice": {"emoji": "🎲", "value": 3}}, "only work with photos"),
        ({"contact": {"phone_number": "1", "first_name": "B"}}, "only work with photos"),
    ],
)
async def test_what_is_not_a_photo_gets_a_clear_answer_and_no_row(chat, content, words):
    answers = await chat.send(**content)

    assert [answer.kind for answer in answers] == ["send"]
    assert words in answers[0].screen.text
    assert await count_media(chat) == 0


async def test_stickers_videos_and_gifs_get_a_clear_answer(chat):
    file = {"file_id": "x", "file_unique_id": "x", "width": 9, "height": 9}
    sticker = {**file, "type": "regular", "is_animated": False, "is_video": False}
    moving = {**file, "duration": 1}

    sent = await chat.send(sticker=sticker)
    video = await chat.send(video=moving)
    gif = await chat.send(animation=moving, document=document("a.gif.mp4", "video/mp4"))

    assert "only work with photos" in sent[0].screen.text
    assert "That is a video" in video[0].screen.text
    assert "Animated" in gif[0].screen.text
    assert await count_media(chat) == 0


async def test_text_where_a_photo_is_expected_asks_for_one(chat):
    answers = await chat.send("make it pretty <script>")

    assert "Send me one photo" in answers[0].screen.text
    assert "script" not in answers[0].screen.text


async def test_text_after_a_photo_offers_the_choice_again(chat):
    media_id = await chat.send_photo()

    answers = await chat.send("the second one please")

    assert answers[0].key == keys.upload(media_id)
    assert "What shall I make of it" in answers[0].screen.text


async def test_an_unknown_command_is_answered(chat):
    assert "do not know this command" in (await chat.send("/frobnicate now"))[0].screen.text


async def test_service_messages_are_not_answered(chat):
    assert await chat.send(delete_chat_photo=True) == ()


async def test_a_photo_that_cannot_be_used_is_told_where_it_was_offered(chat):
    media_id = await chat.send_photo()

    await chat.photo_fails(media_id, "animated")

    assert [key for key, _ in await chat.deliveries("edit")] == [keys.upload(media_id)]
    assert "Animated" in (await chat.deliveries("edit"))[0][1].text
