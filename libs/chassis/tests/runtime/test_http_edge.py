"""What strangers can do to an endpoint, on both loops; `late_headers` once cut everybody."""

import asyncio
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
import uvloop
from aiohttp import web

from chassis import http_edge
from chassis.callers import PRIVATE, Proxies, networks
from chassis.http_edge import BodyError, EdgeLimits, HttpEdge, read_body
from chassis.rates import Rate
from chassis.testing import drain

SLOW = Rate(per_second=0.01, burst=3)
READ_SECONDS = 0.8
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy.")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy])
def event_loop_policy(request):
    return request.param()


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(http_edge, "READ_SECONDS_MAX", READ_SECONDS)


class Door:
    """An endpoint that answers with a body's length to who knows the path."""

    def __init__(self, limits, proxies=None):
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.entered = asyncio.Event()
        self.callers = []
        self.edge = HttpEdge(
            self.handle,
            name="test",
            host="127.0.0.1",
            port=0,
            limits=limits,
            proxies=proxies,
            headers={"X-Door": "ours"},
        )

    async def handle(self, request, caller):
        self.callers.append(caller)
        if request.path != "/known":
            return web.Response(status=404)
        try:
            body = await read_body(request)
        except BodyError as error:
            return web.Response(status=error.status)
        self.entered.set()
        await self.go_on.wait()
        return web.Response(text=str(len(body)))

    async def ask(self, path="/known", *, headers=None, data=None, method="POST"):
        url = f"http://127.0.0.1:{self.edge.port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers, data=data) as answer,
        ):
            return answer.status, answer.headers, await answer.text()

    async def statuses(self, *paths, headers=None):
        return [(await self.ask(path, headers=headers))[0] for path in paths]

    @asynccontextmanager
    async def connection(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.edge.port)
        yield reader, writer
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def opened():
    doors = []

    async def opened(*, proxies=None, **limits):
        doors.append(Door(EdgeLimits(**{"body_bytes_max": 1_000, **limits}), proxies))
        await doors[-1].edge.start()
        return doors[-1]

    yield opened
    for door in doors:
        door.go_on.set()
        await door.edge.stop()


async def chunks(count, size=500):
    for _ in range(count):
        yield b" " * size


async def cut(reader):
    """Whether the other side closes without a word."""
    try:
        return await asyncio.wait_for(reader.read(), 30) == b""
    except ConnectionError:
        return True


async def test_a_body_up_to_the_limit_is_read_and_one_above_is_not(opened):
    door = await opened()

    assert (await door.ask(data=b" " * 1_000))[::2] == (200, "1000")
    assert (await door.ask(data=b" " * 1_001))[0] == 413


async def test_a_chunked_body_has_the_same_limit(opened):
    door = await opened()

    assert (await door.ask(data=chunks(2)))[::2] == (200, "1000")
    assert (await door.ask(data=chunks(3)))[0] == 413


async def test_a_packed_body_is_not_unpacked(opened):
    door = await opened()
    packed = b"\x1f\x8b" + b"\0" * 98

    status, _, text = await door.ask(data=packed, headers={"Content-Encoding": "gzip"})

    assert (status, text) == (200, "100")


async def test_headers_that_never_end_are_cut(opened):
    door = await opened()
    async with door.connection() as (reader, writer):
        writer.write(b"POST /known HTTP/1.1\r\nHost: x\r\n")

        assert await cut(reader)

    assert not door.edge.silent


async def test_headers_one_byte_at_a_time_are_cut(opened):
    door = await opened()
    async with door.connection() as (reader, writer):
        writer.write(b"POST /known HTTP/1.1\r\nHost: ")
        closed = asyncio.ensure_future(cut(reader))
        while not closed.done():
            writer.write(b"X")  # each in time, by itself
            await asyncio.wait([closed], timeout=READ_SECONDS / 4)

        assert closed.result()


async def test_a_body_that_never_ends_is_answered_408(opened):
    door = await opened()
    head = b"POST /known HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    async with door.connection() as (reader, writer):
        writer.write(head)
        answer = asyncio.ensure_future(reader.readline())
        while not answer.done():
            writer.write(b" ")
            await asyncio.wait([answer], timeout=READ_SECONDS / 4)

        assert b"408" in answer.result()


async def test_late_headers_are_the_only_ones_cut(opened):
    """A request that came whole, and a connection kept for the next, live on."""
    door = await opened()
    door.go_on.clear()
    async with door.connection() as (reader, writer):
        for pause in (0.0, READ_SECONDS * 2):
            await asyncio.sleep(pause)  # longer than a silent connection would live
            writer.write(b"POST /known HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            await door.entered.wait()
            asyncio.get_running_loop().call_later(READ_SECONDS * 2, door.go_on.set)
            assert b"200" in await asyncio.wait_for(reader.readline(), 30)
            await reader.readuntil(b"\r\n\r\n0")
            door.go_on.clear()
            door.entered.clear()


async def test_connections_that_say_nothing_are_bounded(opened, monkeypatch):
    monkeypatch.setattr(http_edge, "READ_SECONDS_MAX", 60.0)
    door = await opened(silent_max=2)
    async with door.connection() as (oldest, _), door.connection(), door.connection():
        assert await cut(oldest)
        assert len(door.edge.silent) <= 2

        assert (await door.ask())[0] == 200


async def test_one_address_may_ask_so_often_and_is_told_when_to_come_again(opened):
    door = await opened(address=SLOW)

    answers = [await door.ask() for _ in range(4)]

    assert [status for status, _, _ in answers] == [200, 200, 200, 429]
    assert 90 <= int(answers[-1][1]["Retry-After"]) <= 100
    assert answers[-1][1]["Connection"] == "close"
    assert len(door.callers) == 3


async def test_an_address_is_allowed_again_after_a_while(opened):
    door = await opened(address=Rate(per_second=0.5, burst=1))
    assert await door.statuses("/known", "/known") == [200, 429]

    async def allowed() -> bool:
        return await door.statuses("/known") == [200]

    await drain(allowed, what="the next one")


async def test_who_guesses_is_stopped_and_who_knows_is_not(opened):
    door = await opened(strangers=SLOW)

    statuses = await door.statuses(*["/guess"] * 5, "/known", "/guess", "/known")

    assert statuses == [404, 404, 404, 429, 429, 200, 429, 200]


async def test_addresses_are_counted_apart_only_on_the_word_of_a_trusted_proxy(opened):
    trusted = Proxies("X-Forwarded-For", networks(PRIVATE))
    strange = Proxies("X-Forwarded-For", networks("192.0.2.0/24"))

    async def asked(proxies):
        door = await opened(address=Rate(per_second=0.01, burst=1), proxies=proxies)
        written = [{"X-Forwarded-For": f"9.9.9.9, 198.51.100.{number}"} for number in (1, 2, 2)]
        return [(await door.ask(headers=each))[0] for each in written]

    assert await asked(trusted) == [200, 200, 429]
    assert await asked(strange) == [200, 429, 429]
    assert await asked(None) == [200, 429, 429]


async def test_addresses_are_remembered_in_bounded_memory(opened):
    door = await opened(keys_max=5, proxies=Proxies("X-Real-IP", networks(PRIVATE)))

    for number in range(20):
        await door.ask("/guess", headers={"X-Real-IP": f"198.51.100.{number}"})

    assert len(door.edge._addresses) == len(door.edge._strangers) == 5


async def test_more_than_can_be_served_at_once_are_sent_away(opened):
    door = await opened(requests_max=1)
    door.go_on.clear()
    first = asyncio.ensure_future(door.ask())
    await door.entered.wait()

    status, headers, _ = await door.ask()
    door.go_on.set()

    assert (status, headers["Retry-After"], headers["X-Door"]) == (503, "2", "ours")
    assert (await first)[0] == 200
    assert (await door.ask())[0] == 200


async def test_what_takes_too_long_is_to_be_asked_again(opened):
    door = await opened(handling_seconds_max=2)
    door.go_on.clear()

    assert (await door.ask())[0] == 503
    door.go_on.set()
    assert (await door.ask())[0] == 200


async def test_a_stop_lets_the_request_under_way_end(opened):
    door = await opened()
    door.go_on.clear()
    first = asyncio.ensure_future(door.ask())
    await door.entered.wait()

    stopping = asyncio.ensure_future(door.edge.stop())
    await asyncio.sleep(0)
    door.go_on.set()

    assert (await first)[0] == 200
    await stopping
