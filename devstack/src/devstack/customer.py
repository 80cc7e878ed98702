"""One person at the shop, step by step: each step waits for what the shop says to it."""

import base64
from dataclasses import dataclass
from uuid import UUID

from contracts.ids import OrderId
from devstack.chat import Button, Chat, Message, Toast

# Callback data of the gateway's buttons (gateway/domain/callbacks.py).
WORKFLOW_PREFIX = "w:1:"
CONFIRM_PREFIX = "c:1:"
CANCEL_PREFIX = "x:1:"
AS_FILE_PREFIX = "f:1:"
ENHANCE = "image.enhance"
PRODUCT_SCENE = "image.product_scene"
ORBIT = "video.orbit"
TRIAL_NOTICE = "trial credits"
RESULT_KINDS = frozenset({"photo", "video", "animation"})
RESULT_TIMEOUT_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Quote:
    """A price screen: the order it would become, and the button that orders."""

    order_id: OrderId
    message: Message
    confirm: Button


class Customer:
    """Buys in English. Whatever the shop does not answer in time is a ChatError."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    async def start(self) -> Message:
        """/start, until the trial credits are there."""
        await self.chat.say("/start")
        return await self.chat.wait_for(lambda said: TRIAL_NOTICE in said.text, "trial notice")

    async def newest(self) -> int:
        return max((message.id for message in await self.chat.messages()), default=0)

    async def ask(self, text: str) -> Message:
        """Say something; returns the bot's next message."""
        after = await self.newest()
        await self.chat.say(text)
        return await self.chat.wait_for(lambda _: True, f"answer to {text!r}", after=after)

    async def offer(self, photo: bytes) -> Message:
        """Send a photo; returns the message with a button for each workflow."""
        after = await self.newest()
        await self.chat.send_photo(photo)
        return await self.chat.wait_for(is_offer, "choice of workflows", after=after)

    async def quote(self, offer: Message, workflow_id: str) -> Quote:
        """Choose a workflow; returns the screen with its price."""
        after = await self.newest()
        await self.chat.press(offer, button_of(offer, WORKFLOW_PREFIX, workflow_id))
        price = await self.chat.wait_for(is_price, f"price of {workflow_id}", after=after)
        confirm = button_of(price, CONFIRM_PREFIX)
        return Quote(order_id_of(confirm.data), price, confirm)

    async def order(self, photo: bytes, workflow_id: str) -> Quote:
        """A whole order up to the confirming tap."""
        quote = await self.quote(await self.offer(photo), workflow_id)
        await self.chat.press(quote.message, quote.confirm)
        return quote

    async def result(self, quote: Quote, seconds_max: float = RESULT_TIMEOUT_SECONDS) -> Message:
        """Wait for the picture or video of an order."""
        wanted = AS_FILE_PREFIX + packed(quote.order_id)
        return await self.chat.wait_for(
            lambda said: said.media_kind in RESULT_KINDS and said.button(wanted) is not None,
            f"result of {quote.order_id}",
            after=quote.message.id,
            timeout_seconds=seconds_max,
        )

    async def status(self, quote: Quote, *words: str) -> Message:
        """Wait until the order's own message says one of these words."""
        return await self.chat.wait_for(
            lambda said: said.id == quote.message.id and any(word in said.text for word in words),
            f"status {' or '.join(words)!r}",
            after=quote.message.id - 1,
        )

    async def cancel(self, quote: Quote) -> Toast:
        button = Button("cancel", CANCEL_PREFIX + packed(quote.order_id))
        return await self.chat.tap(quote.message, button)


def is_offer(message: Message) -> bool:
    return message.button(WORKFLOW_PREFIX) is not None and not message.media_kind


def is_price(message: Message) -> bool:
    return message.button(CONFIRM_PREFIX) is not None


def button_of(message: Message, prefix: str, containing: str = "") -> Button:
    """The button with such data; a message without it is a mistake of the caller."""
    found = message.button(prefix, containing)
    assert found is not None, f"no button {prefix}…{containing} under {message.text!r}"
    return found


def packed(order_id: OrderId) -> str:
    return base64.urlsafe_b64encode(order_id.bytes).decode().rstrip("=")


def order_id_of(data: str) -> OrderId:
    """The order id behind a confirm button's data."""
    packed_id = data.removeprefix(CONFIRM_PREFIX)
    return OrderId(UUID(bytes=base64.urlsafe_b64decode(f"{packed_id}==")))
