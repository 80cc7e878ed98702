"""An answer said once more, or late, does not take back what the message was told since."""

import itertools
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import pytest_asyncio

from chassis import rpc
from chassis.broker import OutgoingMessage
from chassis.clock import new_id
from chassis.testing import drain
from contracts.generator import shard_of
from contracts.payments import CreatePayment, GetOffers, Method, Offers, Pack, PaymentCreated
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage, pack
from gateway.domain.purchase_buttons import ChoosePack
from gateway.ports import EDIT, Screen
from simulators.telegram.testing import button

pytestmark = pytest.mark.asyncio(loop_scope="module")
IDS = itertools.count(8_000_000, 100)
HANDLED = "SELECT handled_at FROM updates WHERE update_id = $1"
PAY_URL = "https://t.me/CryptoBot?start=xyz"


class Tapped:
    """An update that may be stored as often as a test likes, past the stream's own dedupe."""

    def __init__(self, platform, person: int, message_id: int, data: str) -> None:
        sender = {"id": person, "is_bot": False, "first_name": "A", "language_code": "en"}
        message = {
            "message_id": message_id,
            "date": 1_790_000_000,
            "chat": {"id": person, "type": "private"},
            "from": {"id": 42, "is_bot": True, "first_name": "V"},
            "text": "…",
        }
        query = {"id": "1", "from": sender, "chat_instance": "1", "data": data, "message": message}
        self.platform = platform
        self.update_id = next(IDS)
        self.body = msgspec.json.encode({"update_id": self.update_id, "callback_query": query})
        self.subject = f"gateway.updates.{shard_of(person)}"

    async def comes(self) -> None:
        await self.platform.broker.publish_all([OutgoingMessage(self.subject, self.body, {})])

    async def is_answered(self) -> None:
        """What this test stored is acknowledged, which is after all of it was said."""
        await drain(lambda: self.platform.value(HANDLED, self.update_id), what="it is handled")
        await drain(self._acknowledged, what="it is acknowledged")

    async def _acknowledged(self) -> bool:
        return (await self.platform.broker.api("STREAM.INFO.UPDATES"))["state"]["messages"] == 0


async def message_of(platform, person: int, message_id: int) -> dict:
    messages = await platform.people.messages(person)
    return next(each for each in messages if each["message_id"] == message_id)


@pytest_asyncio.fixture(loop_scope="module")
async def shown(platform, person, gateway) -> int:
    """A message of the bot's."""
    await platform.people.say(person, "/help")
    return (await platform.people.wait_message(person))["message_id"]


@asynccontextmanager
async def selling(broker):
    async def offers(_request: GetOffers) -> Offers:
        return Offers(
            packs=(Pack(id="credits_100", credits=100, prices={"USD": 199}),),
            methods=(Method(provider="crypto_pay", currency="USD", exponent=2),),
            priced_at=datetime.now(UTC),
        )

    answering = await rpc.answer(broker, GetOffers, offers)
    try:
        yield
    finally:
        await answering.stop()


async def asked(platform, person: int) -> CreatePayment | None:
    rows = await platform.rows("SELECT body FROM outbox WHERE subject = $1", CreatePayment.subject)
    commands = [CreatePayment.decode(row["body"]) for row in rows]
    return next((each for each in commands if each.user_id == person), None)


@pytest.mark.parametrize("repeated", ["the pack was chosen", "the way to pay was chosen"])
async def test_the_button_to_pay_stays(platform, broker, person, shown, repeated):
    """The first answer names the message by its number, the second by the payment."""
    async with selling(broker):
        choice = Tapped(platform, person, shown, pack(ChoosePack("credits_100")))
        await choice.comes()
        ways = await platform.people.wait_message(
            person, lambda each: "like to pay" in (each["text"] or "")
        )
        way = Tapped(platform, person, shown, button(ways, "Crypto Pay"))
        await way.comes()
        await drain(lambda: asked(platform, person), what="create_payment")
        command = await asked(platform, person)
        await way.is_answered()
        await platform.publish(
            PaymentCreated(
                payment_id=command.payment_id,
                user_id=person,
                provider="crypto_pay",
                product="pack",
                product_id="credits_100",
                credits=100,
                amount_minor=199,
                currency="USD",
                pay_url=PAY_URL,
                expires_at=datetime.now(UTC) + timedelta(hours=1),
            )
        )
        await platform.people.wait_message(person, lambda each: PAY_URL in str(each["buttons"]))
        before = await message_of(platform, person, shown)

        # Its replica was killed between the commit and the acknowledgement.
        again = choice if repeated == "the pack was chosen" else way
        await again.comes()
        await again.is_answered()

        assert await message_of(platform, person, shown) == before


async def test_the_page_opened_last_stays(platform, person, shown):
    first = Tapped(platform, person, shown, pack(OpenPage(callbacks.LANGUAGE)))
    second = Tapped(platform, person, shown, pack(OpenPage(callbacks.HELP)))
    for each in (first, second):
        await each.comes()
        await each.is_answered()
    before = await message_of(platform, person, shown)

    await first.comes()
    await first.is_answered()

    assert await message_of(platform, person, shown) == before


async def test_a_repeat_says_what_may_not_have_been_said(platform, person, shown):
    tapped = Tapped(platform, person, shown, pack(OpenPage(callbacks.LANGUAGE)))
    await platform.people.fault("400", method="editMessageText", chat_id=person, times=1)
    await tapped.comes()
    await tapped.is_answered()
    before = await message_of(platform, person, shown)

    await tapped.comes()
    await tapped.is_answered()

    assert await message_of(platform, person, shown) != before


async def test_an_answer_that_had_to_wait_does_not_follow_what_an_event_said(
    platform, person, shown, gateway, outbox
):
    await platform.rows(
        "INSERT INTO messages (chat_id, key, message_id, updated_at) VALUES ($1, 'k', $2, now())",
        person,
        shown,
    )
    await platform.people.fault("500", method="editMessageText", chat_id=person, times=1)
    await platform.people.fault(
        "latency", method="editMessageText", chat_id=person, times=1, seconds=0.5
    )
    tapped = Tapped(platform, person, shown, pack(OpenPage(callbacks.LANGUAGE)))
    await tapped.comes()
    await drain(lambda: platform.value(HANDLED, tapped.update_id), what="it is being answered")

    deliveries = PostgresDeliveries(new_id, gateway.delivery_runner.wake)
    async with outbox.begin() as uow:
        await deliveries.queue(uow, user_id=person, screen=Screen(text="newer"), kind=EDIT, key="k")
    await tapped.is_answered()

    left = "SELECT count(*) FROM deliveries WHERE user_id = $1 AND state = 'intent'"

    async def settled() -> bool:
        return await platform.value(left, person) == 0

    await drain(settled, what="the end of every row")
    assert (await message_of(platform, person, shown))["text"] == "newer"
