"""Every field of every answer of a node, replaced by what it cannot be: one node sick, no other."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from chassis.clock import SystemClock
from chassis.testing import drain
from contracts.vpn import CheckNodes
from vpn import node_api
from vpn.adapters.nodes.agent import AgentNode
from vpn.adapters.nodes.memory import MemoryNode
from vpn.jobs import fitting
from vpn.ports.nodes import NodeMalformedError

NONSENSE = (
    *("null", "true", "-1", "0", "1.5", "1e308", "-1e308", "1e999", "NaN", "[]", "{}", '""'),
    *(str(2**31), str(2**63), str(2**64), str(-(2**63)), "9" * 400, '"\\u0000"', '"\\ud800"'),
    *('"unheard_of"', '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"'),
    *('"2026-11-22T10:00:00"', json.dumps("x" * 5_000), "[[]]", '[{"email": 1}]', '{"a": -1}'),
)
HERE = "☞"


PLAUSIBLE = AgentNode("us-1", "https://x", None, SystemClock())


def garbled(answer: Any, field: tuple[Any, ...], value: str) -> bytes:
    """The answer as an agent sends it, with one field replaced on the way."""
    built = msgspec.to_builtins(answer)
    at = built
    for step in field[:-1]:
        at = at[step]
    at[field[-1]] = HERE
    return json.dumps(built, ensure_ascii=False).replace(f'"{HERE}"', value).encode()


def understood(answer: Any, field: tuple[Any, ...], value: str) -> Any:
    """What the control plane makes of it; None: it is refused as a whole."""
    try:
        found = PLAUSIBLE._understood(200, garbled(answer, field, value), type(answer))
    except NodeMalformedError:
        return None
    return None if fitting.problem(found) else found


def fields(built: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Every leaf and every branch of an answer."""
    steps = built.items() if isinstance(built, dict) else enumerate(built)
    for name, value in steps:
        yield (*path, name)
        if isinstance(value, (dict, list)):
            yield from fields(value, *path, name)


class Garbled(MemoryNode):
    """Gives one answer instead of its own, once that is set."""

    instead: Any = None
    given = 0

    def _instead(self, answer: Any) -> Any:
        if type(self.instead) is not type(answer):
            return answer
        self.given += 1
        return self.instead

    async def state(self):
        return self._instead(await super().state())

    async def put_set(self, generation, entries, *, cut=True):
        return self._instead(await super().put_set(generation, entries, cut=cut))

    async def change(self, change):
        return self._instead(await super().change(change))

    async def users(self):
        return self._instead(await super().users())

    async def traffic(self, after=""):
        return self._instead(await super().traffic(after))

    async def online(self):
        return self._instead(node_api.Online(True, dict(await super().online()))).counts


@pytest.fixture
def nodes():
    return {
        "eu-1": MemoryNode("eu-1", SystemClock()),
        "us-1": Garbled("us-1", SystemClock()),
    }


async def samples(shop, bad):
    """A full answer of each kind."""
    [email, other] = await shop.wanted()
    bad.bytes_by_email, bad.addresses = {email: 5, other: 6}, {email: 1}
    state = await MemoryNode.state(bad)
    now = SystemClock().now()
    state = msgspec.structs.replace(state, certificate_until=now, alerts=["an alert"])
    core = msgspec.structs.replace(state.core, started_at=now)
    yield msgspec.structs.replace(state, core=core)
    yield await MemoryNode.users(bad)
    yield await MemoryNode.traffic(bad)
    yield node_api.Online(True, dict(bad.addresses))
    yield node_api.Applied(bad.generation + 1, bad.hash.hex())


async def test_whatever_is_answered_no_keeper_ends_and_nobody_is_cut(open_shop, nodes, capsys):
    bad, user, tried = nodes["us-1"], 10, 0
    async with open_shop(nodes, look_every=timedelta(milliseconds=20)) as shop:
        await shop.grant(1, 2)
        await shop.in_step()
        async for answer in samples(shop, bad):
            for field in fields(msgspec.to_builtins(answer)):
                for value in NONSENSE:
                    instead = understood(answer, field, value)
                    if instead is None or instead == answer:
                        continue
                    before = dict(bad.held)
                    bad.given, bad.instead = 0, instead
                    if isinstance(answer, node_api.Applied):
                        user += 1
                        await shop.grant(user)
                    elif isinstance(answer, node_api.Users):
                        bad.restart()
                    else:
                        await shop.handle(CheckNodes(due_at=SystemClock().now()))
                    await drain(lambda: bad.given, what=f"{field}: {value:.40}")
                    bad.instead, tried = None, tried + 1
                    assert before.items() <= bad.held.items(), (field, value)
        assert tried > 50
        await shop.in_step()
        counted = await shop.fetch("SELECT max(used_bytes) FROM subscriptions")
        assert counted[0][0] < 2**62
    assert "task_restarts" not in capsys.readouterr().out
