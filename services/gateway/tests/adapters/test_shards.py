"""Replicas divide the shards among themselves, and a dead one's shards are taken over."""

import asyncio

import pytest
import pytest_asyncio

from chassis.background import Background
from chassis.key_value import KeyValue
from chassis.testing import drain
from contracts.generator import SHARDS
from gateway.adapters.shards import Shards, owner

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = frozenset(range(SHARDS))


class Replica:
    """One member, and what it was told to do."""

    def __init__(self, broker, name: str, taken: list[tuple[str, str, int]]) -> None:
        self.name = name
        self.background = Background()
        self.log = taken
        self.shards = Shards(
            KeyValue(broker, "leases"),
            self.background,
            replica=name,
            acquired=self._acquired,
            released=self._released,
        )
        self.task: asyncio.Task | None = None

    async def _acquired(self, shards: frozenset[int]) -> None:
        self.log.extend(("take", self.name, shard) for shard in shards)

    async def _released(self, shards: frozenset[int]) -> None:
        await asyncio.sleep(0)
        self.log.extend(("drop", self.name, shard) for shard in shards)

    def start(self) -> None:
        self.task = asyncio.create_task(self.shards.run())

    async def stop(self) -> None:
        self.background.stopping.set()
        await self.shards.stop()
        if self.task is not None:
            await asyncio.wait({self.task})

    async def die(self) -> None:
        """Stop without a word, as after kill -9: nothing is let go of, nobody is told."""
        self.shards._say = _nothing
        self.shards._leave = _nothing
        self.task.cancel()
        await asyncio.wait({self.task})


async def _nothing() -> None:
    return


@pytest_asyncio.fixture(loop_scope="module")
async def make(broker):
    made: list[Replica] = []
    log: list[tuple[str, str, int]] = []

    def one(name: str) -> Replica:
        replica = Replica(broker, name, log)
        made.append(replica)
        replica.start()
        return replica

    one.log = log
    yield one
    for replica in made:
        if replica.task is not None and not replica.task.done():
            await replica.stop()


async def test_replicas_that_start_at_the_same_moment_never_hold_the_same(make):
    replicas = [make(f"{name}3") for name in "abcd"]

    def all_taken() -> bool:
        return frozenset().union(*(each.shards.held for each in replicas)) == ALL

    await drain(all_taken, what="all shards are held")
    assert never_two_holders(make.log)
    assert sum(len(each.shards.held) for each in replicas) == SHARDS


def never_two_holders(log: list[tuple[str, str, int]]) -> bool:
    holder: dict[int, str] = {}
    for verb, name, shard in log:
        if verb == "take":
            if shard in holder:
                return False
            holder[shard] = name
        else:
            holder.pop(shard, None)
    return True


async def test_shards_are_shared_handed_over_and_given_back(make):
    first = make("a1")
    await drain(lambda: first.shards.held == ALL, what="one replica holds all")
    second = make("b1")
    await drain(
        lambda: second.shards.held and first.shards.held | second.shards.held == ALL,
        what="two replicas hold all",
    )
    assert not first.shards.held & second.shards.held
    assert 8 <= len(first.shards.held) <= 24

    await second.stop()

    await drain(lambda: first.shards.held == ALL, what="the first has all again")
    assert never_two_holders(make.log)


async def test_a_dead_replicas_shards_move_to_the_living(make):
    first, second = make("a2"), make("b2")
    await drain(
        lambda: second.shards.held and first.shards.held | second.shards.held == ALL,
        what="two replicas hold all",
    )

    await second.die()

    await drain(lambda: first.shards.held == ALL, what="the first has all")


async def test_a_change_of_replicas_moves_only_what_it_must():
    before = {shard: owner(shard, ["a", "b", "c"]) for shard in range(SHARDS)}
    after = {shard: owner(shard, ["a", "b"]) for shard in range(SHARDS)}

    moved = {shard for shard in before if before[shard] != after[shard]}

    assert moved == {shard for shard, name in before.items() if name == "c"}
