"""Every aiogram method class: either its answer decodes, or the server says the exact 404."""

import inspect
from typing import Any

import aiogram.methods
import aiohttp
import pytest
from aiogram.methods import TelegramMethod
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    InputMediaPhoto,
    InputTextMessageContent,
    LabeledPrice,
    MenuButtonDefault,
    ReactionTypeEmoji,
)

from simulators.telegram.methods import METHODS

USER = 501
ALL = sorted(
    (
        value
        for value in vars(aiogram.methods).values()
        if inspect.isclass(value)
        and issubclass(value, TelegramMethod)
        and value is not TelegramMethod
    ),
    key=lambda method: method.__name__,
)
MISSING = [method for method in ALL if method.__api_method__.lower() not in METHODS]
PRICES = [LabeledPrice(label="100 credits", amount=50)]
INVOICE = {
    "title": "100 credits",
    "description": "Credits for pictures",
    "payload": "order-1",
    "currency": "XTR",
    "prices": PRICES,
}


class Stage:
    """What the sample arguments refer to: a chat with a text, a photo, a query, a charge."""

    def __init__(self, bot, control, jpeg: bytes, mp4: bytes) -> None:
        self.bot, self.control, self.jpeg, self.mp4 = bot, control, jpeg, mp4
        self.ids: dict[str, Any] = {}

    async def set(self) -> "Stage":
        first = await self.control.say(USER, "/start")
        text = await self.bot.send_message(USER, "hello")
        photo = await self.bot.send_photo(USER, self.image(), caption="a photo")
        pressed = await self.control.press(USER, text.message_id, "x")
        asked = await self.control.call("POST", f"/users/{USER}/inline", json={"query": "q"})
        self.ids = {
            "user_message": first["message_id"],
            "text": text.message_id,
            "photo": photo.message_id,
            "file_id": photo.photo[-1].file_id,
            "callback": pressed["callback_query_id"],
            "inline": asked["inline_query_id"],
        }
        return self

    def image(self) -> BufferedInputFile:
        return BufferedInputFile(self.jpeg, "photo.jpg")

    def file(self, name: str, data: bytes = b"some bytes") -> BufferedInputFile:
        return BufferedInputFile(data, name)


def keyboard() -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text="Go", callback_data="go")]]
    )


# Each entry makes the arguments of one method on the prepared stage.
SAMPLES = {
    "GetMe": lambda _: {},
    "LogOut": lambda _: {},
    "Close": lambda _: {},
    "GetUpdates": lambda _: {"limit": 10, "timeout": 0},
    "SetWebhook": lambda _: {"url": "http://127.0.0.1:9/hook", "secret_token": "s3cret"},
    "DeleteWebhook": lambda _: {"drop_pending_updates": True},
    "GetWebhookInfo": lambda _: {},
    "SendMessage": lambda _: {"chat_id": USER, "text": "<b>hi</b>", "parse_mode": "HTML"},
    "SendPhoto": lambda s: {"chat_id": USER, "photo": s.image(), "reply_markup": keyboard()},
    "SendVideo": lambda s: {"chat_id": USER, "video": s.file("clip.mp4", s.mp4)},
    "SendDocument": lambda s: {"chat_id": USER, "document": s.file("price.pdf")},
    "SendAnimation": lambda s: {"chat_id": USER, "animation": s.file("a.mp4", s.mp4)},
    "SendAudio": lambda s: {"chat_id": USER, "audio": s.file("a.mp3"), "title": "Song"},
    "SendVoice": lambda s: {"chat_id": USER, "voice": s.file("v.ogg")},
    "SendSticker": lambda s: {"chat_id": USER, "sticker": s.file("s.webp")},
    "SendMediaGroup": lambda s: {
        "chat_id": USER,
        "media": [
            InputMediaPhoto(media=s.image(), caption="one"),
            InputMediaPhoto(media=s.ids["file_id"]),
        ],
    },
    "CopyMessage": lambda s: {
        "chat_id": USER,
        "from_chat_id": USER,
        "message_id": s.ids["photo"],
    },
    "ForwardMessage": lambda s: {
        "chat_id": USER,
        "from_chat_id": USER,
        "message_id": s.ids["user_message"],
    },
    "EditMessageText": lambda s: {"chat_id": USER, "message_id": s.ids["text"], "text": "new"},
    "EditMessageCaption": lambda s: {
        "chat_id": USER,
        "message_id": s.ids["photo"],
        "caption": "new",
    },
    "EditMessageMedia": lambda s: {
        "chat_id": USER,
        "message_id": s.ids["text"],
        "media": InputMediaPhoto(media=s.image()),
    },
    "EditMessageReplyMarkup": lambda s: {
        "chat_id": USER,
        "message_id": s.ids["text"],
        "reply_markup": keyboard(),
    },
    "DeleteMessage": lambda s: {"chat_id": USER, "message_id": s.ids["text"]},
    "DeleteMessages": lambda s: {"chat_id": USER, "message_ids": [s.ids["text"], 1]},
    "AnswerCallbackQuery": lambda s: {"callback_query_id": s.ids["callback"], "text": "ok"},
    "AnswerInlineQuery": lambda s: {
        "inline_query_id": s.ids["inline"],
        "results": [
            InlineQueryResultArticle(
                id="1",
                title="t",
                input_message_content=InputTextMessageContent(message_text="m"),
            )
        ],
    },
    "SendChatAction": lambda _: {"chat_id": USER, "action": "typing"},
    "SetMessageReaction": lambda s: {
        "chat_id": USER,
        "message_id": s.ids["user_message"],
        "reaction": [ReactionTypeEmoji(emoji="👍")],
    },
    "SendMessageDraft": lambda _: {"chat_id": USER, "draft_id": 7, "text": "thinking"},
    "GetFile": lambda s: {"file_id": s.ids["file_id"]},
    "GetChat": lambda _: {"chat_id": USER},
    "GetChatMember": lambda _: {"chat_id": USER, "user_id": USER},
    "GetUserProfilePhotos": lambda _: {"user_id": USER},
    "SetMyCommands": lambda _: {"commands": [BotCommand(command="help", description="Help")]},
    "GetMyCommands": lambda _: {},
    "DeleteMyCommands": lambda _: {},
    "SetChatMenuButton": lambda _: {"chat_id": USER, "menu_button": MenuButtonDefault()},
    "SendInvoice": lambda _: {"chat_id": USER, **INVOICE},
    "CreateInvoiceLink": lambda _: INVOICE,
    "AnswerPreCheckoutQuery": lambda s: {"pre_checkout_query_id": s.ids["checkout"], "ok": True},
    "RefundStarPayment": lambda s: {
        "user_id": USER,
        "telegram_payment_charge_id": s.ids["charge"],
    },
    "EditUserStarSubscription": lambda s: {
        "user_id": USER,
        "telegram_payment_charge_id": s.ids["charge"],
        "is_canceled": True,
    },
    "GetStarTransactions": lambda _: {"limit": 5},
    "GetMyStarBalance": lambda _: {},
}
NEEDS_CHARGE = {"RefundStarPayment", "EditUserStarSubscription", "GetStarTransactions"}


@pytest.fixture
async def stage(bot, control, jpeg, mp4) -> Stage:
    return await Stage(bot, control, jpeg, mp4).set()


def test_each_implemented_method_has_a_sample():
    implemented = {m.__name__ for m in ALL if m.__api_method__.lower() in METHODS}

    assert implemented == set(SAMPLES)
    assert len(implemented) == len(METHODS)


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - NEEDS_CHARGE - {"AnswerPreCheckoutQuery"}))
async def test_answer_decodes_as_aiogram_expects(name, stage):
    method = getattr(aiogram.methods, name)(**SAMPLES[name](stage))

    result = await stage.bot(method)

    assert result is not None


@pytest.mark.parametrize("name", sorted(NEEDS_CHARGE))
async def test_star_methods_decode_for_a_paid_subscription(name, stage, pay_subscription):
    stage.ids["charge"] = await pay_subscription(stage.bot, USER)

    result = await stage.bot(getattr(aiogram.methods, name)(**SAMPLES[name](stage)))

    assert result is True or result.transactions[0].source.invoice_payload == "month-1"


async def test_every_other_method_is_an_exact_404(sim):
    assert len(MISSING) > 100
    async with aiohttp.ClientSession() as session:
        for method in MISSING:
            url = f"{sim.url}/bot{sim.token}/{method.__api_method__}"
            async with session.post(url, json={"chat_id": USER}) as response:
                body = await response.json()

            assert response.status == 404, method
            assert body == {"ok": False, "error_code": 404, "description": "Not Found"}
