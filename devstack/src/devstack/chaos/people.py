"""People who order, tap twice, change their minds and wait: what a busy shop looks like."""

import asyncio
import base64
import io
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from PIL import Image

from devstack.chat import Button, Chat, ChatError, Message
from devstack.stage import Stage

WORKFLOW_PREFIX = "w:1:"
CONFIRM_PREFIX = "c:1:"
CANCEL_PREFIX = "x:1:"
AS_FILE_PREFIX = "f:1:"
ANSWER_SECONDS = 25.0
STEP_TRIES_MAX = 3
PHOTOS_MAX = 4
"""A photo Telegram would not hand over is sent again: the bot said that it could not fetch it."""
ORDER_SECONDS_MAX = 240.0
POLL_SECONDS = 0.3
LOOK_SECONDS = 0.6
"""A dozen people who look as often as one does in a test would be half of what a core does."""
TAPS_TWICE = 0.15
CANCELS = 0.08
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What asyncpg raises when its server is killed, wherever the connection stood."""
DROPPED = "dropped"
"""Confirmed, but its photo could not be fetched: the person is told, and no order is made."""
ENDED = frozenset({"completed", "refunded", "refused", DROPPED})
WORKFLOWS = (
    *("image.enhance",) * 3,
    *("image.product_scene",) * 5,
    "video.zoom",
)


@dataclass
class Log:
    """What happened, for the table at the end."""

    placed: list[UUID] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    given_up: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    access: Counter[str] = field(default_factory=Counter)
    """How purchases of VPN access ended."""
    round_trip: float = 0.0
    """How many seconds the slowest answer of a service took while everything was calm."""


class Screens:
    """What the shop's screens say, read by one connection for everybody."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.states: dict[UUID, str] = {}
        self.access: dict[int, Counter[str]] = {}
        """Of each person, how many payment screens for VPN access stand how."""

    async def watch(self, stopped: asyncio.Event) -> None:
        """Read until stopped; while Postgres is away, the last answer stands."""
        while not stopped.is_set():
            try:
                await self._read(stopped)
            except AWAY:
                await asyncio.sleep(POLL_SECONDS)

    async def _read(self, stopped: asyncio.Event) -> None:
        connection = await self._stage.connect()
        try:
            while not stopped.is_set():
                rows = await connection.fetch("SELECT order_id, state FROM gateway.screens")
                self.states = {row["order_id"]: row["state"] for row in rows}
                self.access = await _access(connection)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            connection.terminate()


async def _access(connection: asyncpg.Connection) -> dict[int, Counter[str]]:
    found: dict[int, Counter[str]] = {}
    for user_id, state, screens in await connection.fetch(
        "SELECT user_id, state, count(*) FROM gateway.checkouts WHERE product = 'access' "
        "GROUP BY user_id, state"
    ):
        found.setdefault(user_id, Counter())[state] = screens
    return found


class Person:
    """One person with a mind of their own, seeded so that a run can be repeated."""

    def __init__(self, stage: Stage, screens: Screens, user_id: int, seed: int, log: Log) -> None:
        self.user_id = user_id
        self._chat: Chat = stage.chat(user_id)
        self._chat.poll_seconds = LOOK_SECONDS
        self._screens = screens
        self._chance = random.Random(seed)  # noqa: S311 (not a secret)
        self._log = log

    async def begin(self) -> None:
        await self._step(lambda: self._chat.say("/start"), lambda m: bool(m.text), "welcome", 0)

    async def order(self) -> None:
        """Order once, whatever it takes; what a patient person could not do is logged."""
        began = time.monotonic()
        problem = ""
        for _ in range(PHOTOS_MAX):
            try:
                order_id = await self._place()
                state = await self._until_ended(order_id)
            except (ChatError, aiohttp.ClientError) as error:
                problem = str(error)
                continue
            self._log.outcomes[state] += 1
            if state == DROPPED:
                problem = "the photo could not be fetched"
                continue
            self._log.placed.append(order_id)
            self._log.seconds.append(time.monotonic() - began)
            return
        self._log.given_up.append(f"{self.user_id}: {problem}")

    async def _place(self) -> UUID:
        after = await self._newest()
        photo = picture(self._chance)
        workflow = self._chance.choice(WORKFLOWS)
        offer = await self._step(
            lambda: self._chat.send_photo(photo),
            lambda m: m.button(WORKFLOW_PREFIX, workflow) is not None,
            "choice of workflows",
            after,
        )
        price = await self._press(
            offer, WORKFLOW_PREFIX, workflow, lambda m: m.button(CONFIRM_PREFIX) is not None, after
        )
        confirm = price.button(CONFIRM_PREFIX)
        assert confirm is not None
        order_id = unpack(confirm.data, CONFIRM_PREFIX)
        await self._chat.press(price, confirm)
        if self._chance.random() < TAPS_TWICE:
            await self._chat.press(price, confirm)
        if self._chance.random() < CANCELS:
            await self._cancel(price, order_id)
        await self._until_known(order_id, price, confirm)
        return order_id

    async def _press(
        self, message: Message, prefix: str, containing: str, wanted: Any, after: int
    ) -> Message:
        button = message.button(prefix, containing)
        assert button is not None
        return await self._step(
            lambda: self._chat.press(message, button), wanted, f"answer to {prefix}", after
        )

    async def _step(self, act: Any, wanted: Any, what: str, after: int) -> Message:
        """Do something and wait for the answer; a person tries again when nothing happens."""
        for _ in range(STEP_TRIES_MAX - 1):
            await act()
            try:
                return await self._chat.wait_for(
                    wanted, what, after=after, timeout_seconds=ANSWER_SECONDS
                )
            except ChatError:
                continue
        await act()
        return await self._chat.wait_for(wanted, what, after=after, timeout_seconds=ANSWER_SECONDS)

    async def _cancel(self, price: Message, order_id: UUID) -> None:
        data = CANCEL_PREFIX + pack(order_id)
        await asyncio.sleep(self._chance.uniform(0.0, 2.0))  # people take their time
        await self._chat.press(price, Button("cancel", data))

    async def _newest(self) -> int:
        found = await self._chat.messages()
        return max((message.id for message in found), default=0)

    async def _until_known(self, order_id: UUID, price: Message, confirm: Button) -> None:
        """Tap again, as people do, until the shop has taken the order."""
        deadline = time.monotonic() + ORDER_SECONDS_MAX
        tapped = time.monotonic()
        while await self._state(order_id) in {"", "priced"}:
            if time.monotonic() > deadline:
                raise ChatError(f"{order_id} was never taken")
            if time.monotonic() - tapped > ANSWER_SECONDS / 3:
                await self._chat.press(price, confirm)
                tapped = time.monotonic()
            await asyncio.sleep(POLL_SECONDS)

    async def _until_ended(self, order_id: UUID) -> str:
        deadline = time.monotonic() + ORDER_SECONDS_MAX
        while (state := await self._state(order_id)) not in ENDED:
            if time.monotonic() > deadline:
                return f"left {state}"
            await asyncio.sleep(POLL_SECONDS)
        return state

    async def _state(self, order_id: UUID) -> str:
        return self._screens.states.get(order_id, "")


def picture(chance: random.Random) -> bytes:
    """Return a small photograph nobody has sent before."""
    colours = [tuple(chance.randrange(256) for _ in range(3)) for _ in range(16)]
    image = Image.new("RGB", (4, 4))
    image.putdata(colours)
    output = io.BytesIO()
    image.resize((320, 240), Image.Resampling.BICUBIC).save(output, "JPEG", quality=85)
    return output.getvalue()


def pack(order_id: UUID) -> str:
    return base64.urlsafe_b64encode(order_id.bytes).decode().rstrip("=")


def unpack(data: str, prefix: str) -> UUID:
    return UUID(bytes=base64.urlsafe_b64decode(f"{data.removeprefix(prefix)}=="))
