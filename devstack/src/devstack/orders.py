"""`python -m devstack.orders URL`: whole orders at a platform that runs elsewhere.

URL is where its simulator of Telegram answers, by a port forward for one. Each person is new, so
that the trial credits are there, and gets exactly one picture; else the program ends with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from contracts.ids import OrderId
from devstack.chat import Chat, ChatError
from devstack.customer import PRODUCT_SCENE, RESULT_KINDS, Customer
from devstack.demo import product_photo

SECONDS_MAX = 300.0
PICTURE_SECONDS_MAX = 240.0
"""Late is not lost: a small cluster catches up for a while after what happened to it."""


@dataclass(frozen=True, slots=True)
class Ordered:
    user_id: int
    order_id: OrderId
    seconds: float
    """From the tap to the picture."""


def somebody() -> int:
    return random.randint(2_000_000_000, 4_000_000_000)  # noqa: S311 - not a secret


async def order(telegram_url: str, session: aiohttp.ClientSession, user_id: int) -> Ordered:
    """One order of a new person. Raises ChatError."""
    person = Customer(Chat(session, f"{telegram_url}/control", user_id))
    await person.start()
    began = time.monotonic()
    quote = await person.order(product_photo(), PRODUCT_SCENE)
    await person.result(quote, PICTURE_SECONDS_MAX)
    return Ordered(user_id, quote.order_id, time.monotonic() - began)


async def pictures(telegram_url: str, session: aiohttp.ClientSession, user_id: int) -> int:
    """How many results a person was sent."""
    said = await Chat(session, f"{telegram_url}/control", user_id).messages()
    return sum(message.media_kind in RESULT_KINDS for message in said)


class Load:
    """People who come one after the other while something happens to the platform."""

    def __init__(self, telegram_url: str, session: aiohttp.ClientSession, every: float) -> None:
        self._url = telegram_url
        self._session = session
        self._people: dict[int, asyncio.Task[Ordered]] = {}
        self._stopping = asyncio.Event()
        self._coming = asyncio.ensure_future(self._come(every))

    async def _come(self, every: float) -> None:
        """At least one comes, however soon it is over."""
        while True:
            user_id = somebody()
            one = order(self._url, self._session, user_id)
            self._people[user_id] = asyncio.ensure_future(one)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), every)
            if self._stopping.is_set():
                return

    async def stop(self) -> None:
        """Nobody comes any more; who is there stays until the end of their order."""
        self._stopping.set()
        await self._coming

    async def ended(self, *, pictures_max: int = 1) -> list[Ordered]:
        """Wait for everybody. Raises ChatError for who got no picture, or too many.

        After a crash one may be sent twice, which is better than not at all.
        """
        await self.stop()
        ends = await asyncio.gather(*self._people.values(), return_exceptions=True)
        lost = [end for end in ends if isinstance(end, BaseException)]
        if lost:
            raise ChatError(f"{len(lost)} of {len(ends)} orders were lost; the first: {lost[0]!r}")
        for user_id in self._people:
            got = await pictures(self._url, self._session, user_id)
            if not 1 <= got <= pictures_max:
                raise ChatError(f"{user_id} got {got} pictures for one order")
        return [task.result() for task in self._people.values()]

    async def leave(self) -> None:
        """Whatever happened, nobody goes on asking."""
        await self.stop()
        for task in self._people.values():
            task.cancel()
        await asyncio.gather(*self._people.values(), return_exceptions=True)


@asynccontextmanager
async def people(telegram_url: str, every_seconds: float) -> AsyncIterator[Load]:
    """People come while the block runs, until their ends are asked for."""
    async with aiohttp.ClientSession() as session:
        load = Load(telegram_url, session, every_seconds)
        try:
            yield load
        finally:
            await load.leave()


async def run(telegram_url: str, count: int) -> int:
    """Order `count` times at once, say how it went; returns the exit status."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS_MAX):
        users = [somebody() for _ in range(count)]
        ends = await asyncio.gather(
            *(order(telegram_url, session, user_id) for user_id in users), return_exceptions=True
        )
        got = [await pictures(telegram_url, session, user_id) for user_id in users]
    for end, number in zip(ends, got, strict=True):
        if isinstance(end, Ordered):
            print(f"{end.order_id}: {number} picture(s) after {end.seconds:.1f} s")
        elif isinstance(end, (ChatError, aiohttp.ClientError)):
            print(f"no picture: {end}")
        else:
            raise end
    return 0 if got == [1] * count else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.orders", description=__doc__)
    parser.add_argument("url", help="of the simulator of Telegram")
    parser.add_argument("--orders", type=int, default=1)
    options = parser.parse_args()
    try:
        return asyncio.run(run(options.url.rstrip("/"), options.orders))
    except (TimeoutError, aiohttp.ClientError) as error:
        print(f"{options.url} does not serve: {error or 'too slow'}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
