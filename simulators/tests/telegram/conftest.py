"""A simulator on a free port, a person's client and a real aiogram bot for each test."""

import io
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from PIL import Image

from simulators.telegram import TelegramSimulator
from simulators.telegram.testing import ControlClient


class QuickSession(AiohttpSession):
    """aiogram sleeps 250 ms after closing, for TLS that is not here."""

    async def close(self) -> None:
        if self._session is not None and not self._session.closed:
            await self._session.close()


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> Iterator[None]:
    """Each aiogram session reads all root certificates (50 ms) for connections not made here."""
    context = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda **_options: context)
        yield


@pytest.fixture
async def sim() -> AsyncIterator[TelegramSimulator]:
    async with TelegramSimulator(webhook_retry_seconds=0.02) as simulator:
        yield simulator


@pytest.fixture
async def control(sim: TelegramSimulator) -> AsyncIterator[ControlClient]:
    async with ControlClient(sim.url) as client:
        yield client


@pytest.fixture
async def bot(sim: TelegramSimulator) -> AsyncIterator[Bot]:
    session = QuickSession(api=TelegramAPIServer.from_base(sim.url))
    bot = Bot(sim.token, session=session)
    yield bot
    await bot.session.close()


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return picture("JPEG", (400, 300))


@pytest.fixture
def make_picture():
    return picture


def picture(kind: str, size: tuple[int, int], color: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def mp4() -> bytes:
    import av
    import numpy as np

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(0, 200, 10):
            pixels = np.full((48, 64, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


@pytest.fixture
def pay_subscription(control):
    """Sell a monthly subscription and return its charge id."""
    import asyncio

    from aiogram.types import LabeledPrice

    async def sell(bot: Bot, user_id: int) -> str:
        link = await bot.create_invoice_link(
            title="VIP",
            description="A month of VIP",
            payload="month-1",
            currency="XTR",
            prices=[LabeledPrice(label="VIP", amount=300)],
            subscription_period=2_592_000,
        )
        paying = asyncio.create_task(control.pay(user_id, link=link))
        query = await next_update(bot, "pre_checkout_query")
        await bot.answer_pre_checkout_query(query.pre_checkout_query.id, ok=True)
        return str((await paying)["telegram_payment_charge_id"])

    return sell


async def next_update(bot: Bot, kind: str):
    """Read updates until one of this kind comes."""
    offset = None
    while True:
        updates = await bot.get_updates(offset=offset, timeout=5)
        assert updates, f"no {kind} came"
        for update in updates:
            offset = update.update_id + 1
            if update.event_type == kind:
                await bot.get_updates(offset=offset, limit=1)  # confirms it
                return update


@pytest.fixture
def wait_update():
    return next_update
