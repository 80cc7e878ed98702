"""10,000 people onto a node that lost them, beside raw pipelined gRPC adds to the same v2ray.

Raw: the same 10,000 AddUserOperations, serialised before the clock starts, 64 in flight, from one
grpc.aio channel straight to the core's own port. Ours: PUT /v1/set through mutual TLS to the real
agent until it has answered (the set is on its disk and in the core). The agent has two ways: a core
in use is given the missing ones over gRPC, so that nobody connected notices; an empty core, where
nobody can be connected, is started anew with everybody in its file. Third, a core that is killed
comes back by the agent alone: from the kill to the first packet of the last of them. In turn, each
round with a raw of its own; medians, of the ratios too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import grpc.aio

from bench.harness import Figure, machine, median
from bench.vpn_stage import nodes, timed, until_everywhere
from chassis.clock import SystemClock
from chassis.testing import drain
from simulators.vless_node import wire
from simulators.vless_node.node import RealNode
from simulators.vless_node.target import Target
from vpn.adapters.nodes.agent import AgentNode
from vpn.adapters.nodes.tls import TlsFiles
from vpn.domain.desired import Entry, entry

NAME = "eu-1"
PEOPLE = 10_000
ROUNDS = 5
IN_FLIGHT = 64
GOAL = "10,000 users to a restarted node <= 1.3 x raw pipelined gRPC adds to the same server"
ALTER = "/v2ray.core.app.proxyman.command.HandlerService/AlterInbound"
OPERATION = "v2ray.core.app.proxyman.command."
ACCOUNT = "v2ray.core.proxy.vless.Account"


def people(count: int) -> list[Entry]:
    until = datetime.now(UTC) + timedelta(days=30)
    return [entry(str(uuid4()), uuid4(), until) for _ in range(count)]


def request(kind: str, operation: bytes) -> bytes:
    return wire.text(1, "vless") + wire.text(2, wire.typed(OPERATION + kind, operation))


def add(one: Entry) -> bytes:
    user = wire.user(one.email, ACCOUNT, str(one.key), "")
    return request("AddUserOperation", wire.text(1, user))


async def raw(node: RealNode, requests: Sequence[bytes]) -> None:
    """Every request, 64 at a time, and nothing else."""
    note = json.loads((node.folder / "state" / "core.note").read_text())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{note['api_port']}") as channel:
        call = channel.unary_unary(ALTER)
        queue = iter(requests)

        async def worker() -> None:
            for each in queue:
                await call(each)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())


class Hand:
    """The control plane's: whole sets, each of a generation of its own."""

    def __init__(self, node: RealNode, pki: Path) -> None:
        files = TlsFiles(pki / "control.crt", pki / "control.key", pki / "ca.crt")
        self.driver = AgentNode(NAME, node.url, files, SystemClock())
        self._generation = 0

    async def put(self, entries: Sequence[Entry]) -> None:
        self._generation += 1
        applied = await self.driver.put_set(self._generation, entries)
        assert applied.generation == self._generation

    async def restarts(self) -> int:
        return (await self.driver.state()).core.restarts


async def measure() -> Figure:
    figure = Figure(f"{PEOPLE:,} people onto a restarted node", GOAL)
    figure.values |= machine()
    target = Target()
    await target.start()
    async with nodes(NAME) as (pki, [node]):
        hand = Hand(node, pki)
        seconds: dict[str, list[float]] = {key: [] for key in ("raw", "in_use", "empty", "killed")}
        for _ in range(ROUNDS):
            for key, took in (await _round(hand, node, target)).items():
                seconds[key].append(took)
        await hand.driver.close()
    await target.stop()
    plain = seconds["raw"]
    figure.add("raw gRPC adds, core in use", median(plain), "s", key="raw_seconds")
    for key, label in (
        ("in_use", "agent, core in use (gRPC adds)"),
        ("empty", "agent, empty core (started anew with its file)"),
        ("killed", "core killed -> the last one's first packet"),
    ):
        ratios = [took / beside for took, beside in zip(seconds[key], plain, strict=True)]
        figure.add(label, median(seconds[key]), "s", key=f"{key}_seconds")
        figure.add(f"{label} / raw", median(ratios), "x", key=f"{key}_ratio")
    return figure


async def forget_strangers(hand: Hand, node: RealNode) -> None:
    """A new core knows only whom the agent knows."""
    before = await hand.restarts()
    await node.kill_core()

    async def back() -> bool:
        state = await hand.driver.state()
        return state.core.restarts > before and state.core.synced

    await drain(back, what="a new core")


async def _round(hand: Hand, node: RealNode, target: Target) -> dict[str, float]:
    found: dict[str, float] = {}
    [one] = people(1)  # keeps the core from being empty
    await hand.put([one])

    strangers = people(PEOPLE)
    adds = [add(each) for each in strangers]
    found["raw"] = await timed(lambda: raw(node, adds))
    await forget_strangers(hand, node)
    crowd = people(PEOPLE)
    [pid] = node.core_pids()
    found["in_use"] = await timed(lambda: hand.put([one, *crowd]))
    assert node.core_pids() == [pid], "the core was restarted under somebody"
    await hand.put([])
    found["empty"] = await timed(lambda: hand.put(crowd))
    assert node.core_pids() != [pid], "the empty core was not started anew"
    key = crowd[-1].key
    await until_everywhere([node], key, target.port, passes=True)

    async def come_back() -> None:
        await node.kill_core()
        await until_everywhere([node], key, target.port, passes=True)

    found["killed"] = await timed(come_back)
    return found


if __name__ == "__main__":
    asyncio.run(measure()).show()
