"""Formatting, limits, keyboards and edits: accepted and refused as by the real server."""

import pytest
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    ReplyParameters,
)

from simulators.telegram.errors import ApiError
from simulators.telegram.html_markup import parse_html
from simulators.telegram.markdown_markup import parse_markdown, parse_markdown_v2

USER = 10


@pytest.fixture(autouse=True)
async def chat(control):
    await control.say(USER, "/start")


def spans(entities) -> list[tuple]:
    return [(e["type"], e["offset"], e["length"]) for e in entities]


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("a <b>bold</b>", "a bold", [("bold", 2, 4)]),
        ("<b>x<i>y</i></b>", "xy", [("italic", 1, 1), ("bold", 0, 2)]),
        ("🖼 <code>1 &lt; 2 &amp; 3</code>", "🖼 1 < 2 & 3", [("code", 3, 9)]),
        ('<a href="https://e.org/?a=1&amp;b=2">l</a>', "l", [("text_link", 0, 1)]),
        ("<tg-spoiler>s</tg-spoiler>", "s", [("spoiler", 0, 1)]),
        ("<blockquote expandable>q</blockquote>", "q", [("expandable_blockquote", 0, 1)]),
        ('<pre><code class="language-py">x</code></pre>', "x", [("pre", 0, 1)]),
        ("<b></b>plain", "plain", []),
    ],
)
def test_html_becomes_text_and_entities(source, text, entities):
    got_text, got = parse_html(source)

    assert (got_text, spans(got)) == (text, entities)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("1 < 2", "Unclosed start tag at byte offset 2"),
        ("я<b>x</i>", "Unmatched end tag at byte offset 6"),
    ],
)
def test_wrong_html_is_refused_in_the_real_words(source, reason):
    with pytest.raises(ApiError) as refused:
        parse_html(source)

    assert reason in refused.value.description


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("*b* _i_ __u__ ~s~", "b i u s", ["bold", "italic", "underline", "strikethrough"]),
        ("||s|| `c`", "s c", ["spoiler", "code"]),
        ("[l](https://e.org/\\))", "l", ["text_link"]),
        ("```py\nx = 1\n```", "x = 1\n", ["pre"]),
        ("1\\.5 \\- 2", "1.5 - 2", []),
        (">quote\n>more\nrest", "quote\nmore\nrest", ["blockquote"]),
        ("*b _i_*", "b i", ["italic", "bold"]),
    ],
)
def test_markdown_v2_becomes_text_and_entities(source, text, entities):
    got_text, got = parse_markdown_v2(source)

    assert (got_text, [e["type"] for e in got]) == (text, entities)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1.5", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("*b", "Can't find end of Bold entity at byte offset 0"),
        ("x [l](https://e.org", "Can't find end of a URL at byte offset 6"),
        ("a > b", "Character '>' is reserved"),
    ],
)
def test_wrong_markdown_v2_is_refused_in_the_real_words(source, reason):
    with pytest.raises(ApiError) as refused:
        parse_markdown_v2(source)

    assert reason in refused.value.description


def test_legacy_markdown():
    text, entities = parse_markdown("*b* _i_ `c` [l](https://e.org) 1.5")

    assert text == "b i c l 1.5"
    assert [e["type"] for e in entities] == ["bold", "italic", "code", "text_link"]
    with pytest.raises(ApiError, match="Can't find end of the entity starting at byte offset 2"):
        parse_markdown("a *b")


async def test_parse_mode_reaches_the_chat(bot, control):
    sent = await bot.send_message(USER, "  <b>Ваш баланс</b>: 20 🪙 /help ", parse_mode="HTML")

    assert sent.text == "Ваш баланс: 20 🪙 /help"
    assert [(e.type, e.offset, e.length) for e in sent.entities] == [
        ("bold", 0, 10),
        ("bot_command", 18, 5),
    ]
    assert (await control.wait_message(USER))["entities"][0]["type"] == "bold"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("   ", "message text is empty"),
        ("<b> </b>", "message text is empty"),
        ("x" * 4_097, "message is too long"),
        ("🖼" * 2_049, "message is too long"),
    ],
)
async def test_texts_out_of_bounds_are_refused(bot, text, reason):
    with pytest.raises(TelegramBadRequest, match=reason):
        await bot.send_message(USER, text, parse_mode="HTML")


async def test_the_longest_text_is_accepted(bot):
    assert len((await bot.send_message(USER, "x" * 4_096)).text) == 4_096


def keyboard(**button) -> InlineKeyboardMarkup:
    made = InlineKeyboardButton.model_construct(**button)
    return InlineKeyboardMarkup.model_construct(inline_keyboard=[[made]])


@pytest.mark.parametrize(
    ("button", "reason"),
    [
        ({"text": "x", "callback_data": "я" * 33}, "BUTTON_DATA_INVALID"),
        ({"text": "x"}, "Text buttons are unallowed in the inline keyboard"),
        ({"text": " ", "callback_data": "x"}, "button text must be non-empty"),
        ({"text": "x", "url": "not a url"}, "Wrong HTTP URL"),
        ({"text": "x", "url": "https://e.org", "callback_data": "x"}, "BUTTON_TYPE_INVALID"),
    ],
)
async def test_wrong_buttons_are_refused(bot, button, reason):
    with pytest.raises(TelegramBadRequest, match=reason):
        await bot.send_message(USER, "hi", reply_markup=keyboard(**button))


async def test_callback_data_of_64_bytes_is_accepted(bot):
    await bot.send_message(USER, "hi", reply_markup=keyboard(text="x", callback_data="я" * 32))


async def test_edits_are_counted_and_seen(bot, control):
    sent = await bot.send_message(USER, "1 %", reply_markup=keyboard(text="x", callback_data="x"))

    edited = await bot.edit_message_text("2 %", chat_id=USER, message_id=sent.message_id)

    assert edited.text == "2 %"
    assert edited.edit_date is not None
    message = await control.wait_message(USER, lambda m: m["text"] == "2 %")
    assert (message["edit_count"], message["buttons"]) == (1, [])
    assert message["edited_at"] >= message["date"]


async def test_the_same_text_again_is_not_modified(bot):
    markup = keyboard(text="x", callback_data="x")
    sent = await bot.send_message(USER, "same", reply_markup=markup)
    same = {"chat_id": USER, "message_id": sent.message_id, "reply_markup": markup}

    with pytest.raises(TelegramBadRequest, match="message is not modified: specified new message"):
        await bot.edit_message_text("<b></b>same", parse_mode="HTML", **same)

    assert (await bot.edit_message_text("other", **same)).text == "other"


async def test_edits_of_what_is_not_there_are_refused(bot, control, jpeg):
    made = await control.say(USER, "mine")
    photo = await bot.send_photo(USER, _file(jpeg))

    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await bot.edit_message_text("x", chat_id=USER, message_id=1)
    with pytest.raises(TelegramBadRequest, match="message can't be edited"):
        await bot.edit_message_text("x", chat_id=USER, message_id=made["message_id"])
    with pytest.raises(TelegramBadRequest, match="there is no text in the message to edit"):
        await bot.edit_message_text("x", chat_id=USER, message_id=photo.message_id)
    with pytest.raises(TelegramBadRequest, match="message to delete not found"):
        await bot.delete_message(USER, 1)


async def test_chats_that_cannot_be_written_to(bot, control):
    await control.user(12, first_name="Silent")

    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.send_message(999, "hi")
    with pytest.raises(Exception, match="bot can't initiate conversation with a user"):
        await bot.send_message(12, "hi")


async def test_replies(bot, control):
    made = await control.say(USER, "question")
    sent = await bot.send_message(
        USER,
        "answer",
        reply_parameters=ReplyParameters(message_id=made["message_id"]),
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )

    assert sent.reply_to_message.text == "question"
    with pytest.raises(TelegramBadRequest, match="message to be replied not found"):
        await bot.send_message(USER, "x", reply_parameters=ReplyParameters(message_id=1))


def _file(data: bytes):
    from aiogram.types import BufferedInputFile

    return BufferedInputFile(data, "photo.jpg")
