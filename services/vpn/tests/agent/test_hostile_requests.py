"""Requests that nobody should send, with the right certificate: the agent refuses and lives on."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import aiohttp
import pytest

from chassis.clock import SystemClock
from simulators.vless_node.node import RealNode
from vpn import node_api
from vpn.adapters.nodes.agent import AgentNode
from vpn.agent.pki import Pki
from vpn.agent.testing import NODE, Control, new_entry, tls_files
from vpn.ports.nodes import NodeRefusedError

DEEP = 100_000
BODY_BYTES_MAX = 1_000_000
GOOD = {"email": "a", "key": str(uuid4()), "expires_at": "2030-01-01T00:00:00Z"}


def a_set(*entries: object, generation: object = 7, now: object = "2026-11-22T12:00:00Z") -> bytes:
    return json.dumps({"generation": generation, "now": now, "entries": entries}).encode()


def an_entry(**other: object) -> bytes:
    return a_set({**GOOD, **other})


BODIES = {
    "nothing": b"",
    "half": b"{",
    "a list": b"[]",
    "not utf-8": b"\xff\xfe{}",
    "a word for a number": b'{"generation": "x"}',
    "half a moment": b'{"generation":1,"now":"2026","entries":[]}',
    "deep where nobody looks": a_set()[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep": b"[" * DEEP,
    "a huge generation": a_set(generation=10**30),
    "the last generation there is": a_set(generation=2**63 - 1),
    "a negative generation": a_set(generation=-1),
    "a fraction": a_set(generation=1.5),
    "infinity": b'{"generation":1e999,"now":"2026-11-22T12:00:00Z","entries":[]}',
    "an email of nothing": an_entry(email=""),
    "a capital": an_entry(email="Aa"),
    "a long email": an_entry(email="a" * 20_000),
    "a new line": an_entry(email="a\nb"),
    "a zero": an_entry(email="a\0b"),
    "a capital to some": an_entry(email="i\u0307"),
    "half a letter": an_entry(email="\ud800"),
    "a long flow": an_entry(flow="x" * 20_000),
    "a key too short": an_entry(key="00"),
    "no zone": an_entry(expires_at="2030-01-01T00:00:00"),
    "no such day": an_entry(expires_at="2030-02-30T00:00:00Z"),
    "twice": a_set(GOOD, GOOD),
}


@pytest.fixture
async def control(stack: AsyncExitStack, strict: tuple[RealNode, Pki]) -> Control:
    node, pki = strict
    driver = AgentNode(NODE, node.url, tls_files(pki), SystemClock())
    stack.push_async_callback(driver.close)
    made = Control(driver)
    state = await driver.state()
    made.generation, made.hash = state.generation, state.hash
    return made


@pytest.fixture
async def session(strict: tuple[RealNode, Pki]) -> AsyncIterator[aiohttp.ClientSession]:
    node, pki = strict
    connector = aiohttp.TCPConnector(ssl=tls_files(pki).client_context())
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(node.url, connector=connector, timeout=timeout) as opened:
        yield opened


async def asked(
    session: aiohttp.ClientSession, method: str, path: str, **request: object
) -> tuple[int, dict[str, object]]:
    name = node_api.node_name(NODE)
    async with session.request(method, path, server_hostname=name, **request) as answer:
        return answer.status, await answer.json()


async def test_no_body_gets_on_disk_that_does_not_belong_there(session, control: Control, strict):
    node, _ = strict
    mine = new_entry()
    await control.put_all([mine])
    before = await control.driver.state()

    answers = {
        what: await asked(session, "PUT", node_api.SET, data=body) for what, body in BODIES.items()
    }

    expected = {"a negative generation": (409, node_api.OLDER_GENERATION)}
    for what, (status, refused) in answers.items():
        assert (status, refused["code"]) == expected.get(what, (400, node_api.INVALID)), what
    after = await control.driver.state()
    assert (after.generation, after.hash, after.boot_id, after.alerts) == (
        *(before.generation, before.hash, before.boot_id),
        [],
    )
    await node.kill()
    node.start()
    await node.wait_ready()
    assert (await control.driver.state()).hash == before.hash


async def test_no_change_gets_on_disk_that_does_not_belong_there(session, control: Control):
    mine = new_entry()
    await control.put_all([mine])
    head = {
        "generation": control.generation + 1,
        "base_generation": control.generation,
        "base_hash": control.hash,
        "now": SystemClock().now().isoformat(),
    }
    changes = (
        {"put": [{**GOOD, "email": "a" * 20_000}]},
        {"remove": ["a" * 20_000]},
        {"remove": ["\ud800"]},
        {"put": [GOOD], "remove": ["a"]},
        {"put": [{**GOOD, "key": str(mine.key)}]},
        {"put": [], "base_hash": 5},
    )

    for change in changes:
        status, refused = await asked(session, "POST", node_api.CHANGES, json={**head, **change})
        assert (status, refused["code"]) == (400, node_api.INVALID), change

    assert (await control.put(new_entry())).added == 1


async def test_a_large_body_is_refused_also_when_it_comes_packed(session, control: Control):
    bomb = gzip.compress(b" " * 50 * BODY_BYTES_MAX)

    status, refused = await asked(
        session, "PUT", node_api.SET, data=bomb, headers={"content-encoding": "gzip"}
    )

    assert (status, refused["code"]) == (413, node_api.TOO_LARGE)
    with pytest.raises(NodeRefusedError) as too_many:
        await control.put_all([new_entry() for _ in range(10_000)])
    assert too_many.value.code == node_api.TOO_LARGE
    assert (await control.put(new_entry())).added == 1


async def test_odd_paths_methods_and_clocks_are_refused(session, control: Control):
    for method, path in (
        ("DELETE", node_api.SET),
        ("GET", "/v1"),
        ("GET", "/"),
        ("PUT", "/v2/set"),
    ):
        assert (await asked(session, method, path))[0] == 404
    for said in ("yesterday", "2026", "1e999", ""):
        status, _ = await asked(session, "GET", node_api.STATE, headers={node_api.NOW_HEADER: said})
        assert status == 400, said
    assert (await control.driver.state()).clock_skew_seconds < 5


async def test_who_sends_nothing_or_half_holds_nobody_up(strict, control: Control):
    node, pki = strict
    context = tls_files(pki).client_context()
    name = node_api.node_name(NODE)
    head = b"PUT /v1/set HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
    idle = []
    for number in range(60):
        secured = {"ssl": context, "server_hostname": name} if number % 2 else {}
        idle.append(await asyncio.open_connection("127.0.0.1", node.port, **secured))
        idle[-1][1].write(head if number % 4 == 1 else b"")

    assert (await control.put(new_entry())).added == 1
    async with asyncio.timeout(10):
        answer = await idle[1][0].read(4096)
    assert b"in time" in answer
    for _, writer in idle:
        writer.transport.abort()
