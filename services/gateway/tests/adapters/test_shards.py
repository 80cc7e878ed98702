"""Replicas divide the shards among themselves, and a dead one's shards are taken over."""

import asyncio
import time
from datetime import timedelta

import pytest
import pytest_asyncio

from chassis.background import Background
from chassis.key_value import KeyValue
from chassis.testing import drain
from contracts.generator import SHARDS
from gateway.adapters.shards import PREFIX, Shards, owner

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = frozenset(range(SHARDS))
OFTEN = timedelta(seconds=0.1)


class Replica:
    """One member, and what it was told to do."""

    def __init__(self, broker, name: str, taken: list[tuple[str, str, int]], **times) -> None:
        self.name = name
        self.leases = KeyValue(broker, "leases")
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.may_drop = asyncio.Event()
        self.may_drop.set()
        self.held_when_dropping: frozenset[int] = frozenset()
        self.background = Background()
        self.log = taken
        self.shards = Shards(
            self.leases,
            self.background,
            replica=name,
            acquired=self._acquired,
            released=self._released,
            **times,
        )
        self.task: asyncio.Task | None = None

    async def _acquired(self, shards: frozenset[int]) -> None:
        await self.may_take.wait()
        self.log.extend(("take", self.name, shard) for shard in shards)

    async def _released(self, shards: frozenset[int]) -> None:
        self.held_when_dropping = self.shards.held
        await asyncio.sleep(0)
        await self.may_drop.wait()
        self.log.extend(("drop", self.name, shard) for shard in shards)

    def dropped(self) -> frozenset[int]:
        return frozenset(
            shard for verb, name, shard in self.log if (verb, name) == ("drop", self.name)
        )

    async def says_more(self, words: int = 3) -> None:
        """Return when it was heard so often from now on."""
        heard: set[int] = set()

        async def counted() -> bool:
            last = await self.leases.get(f"{PREFIX}{self.name}")
            heard.update(() if last is None else (last.revision,))
            return len(heard) > words

        await drain(counted, within=timedelta(seconds=10), what="the replica goes on speaking")

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

    def one(name: str, **times) -> Replica:
        replica = Replica(broker, name, log, **times)
        made.append(replica)
        replica.start()
        return replica

    one.log = log
    yield one
    for replica in made:
        replica.may_take.set()
        replica.may_drop.set()
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


async def test_who_waits_to_take_shards_goes_on_saying_that_it_lives(make):
    replica = make("a4", renew_every=OFTEN)
    replica.may_take.clear()

    await replica.says_more()

    assert not replica.shards.held
    replica.may_take.set()
    await drain(lambda: replica.shards.held == ALL, what="all shards are held")


async def test_who_waits_to_let_go_of_shards_goes_on_saying_that_it_lives(make):
    """Else others take all its shards, and send once more what it is still sending."""
    first = make("a5", renew_every=OFTEN)
    await drain(lambda: first.shards.held == ALL, what="one replica holds all")
    first.may_drop.clear()
    second = make("b5", renew_every=OFTEN)
    await drain(lambda: first.held_when_dropping, what="the first lets go of some")
    kept = first.held_when_dropping

    await first.says_more()

    assert not second.shards.held
    first.may_drop.set()
    await drain(lambda: second.shards.held == ALL - kept, what="the second has the others")
    assert never_two_holders(make.log)


async def test_a_replica_at_its_end_lives_until_its_last_work_is_done(make):
    replica = make("a6", renew_every=OFTEN)
    await drain(lambda: replica.shards.held == ALL, what="one replica holds all")
    replica.may_drop.clear()
    replica.background.stopping.set()
    stopping = asyncio.create_task(replica.shards.stop())

    await replica.says_more()

    replica.may_drop.set()
    await stopping
    assert await replica.leases.get(f"{PREFIX}a6") is None


async def test_no_new_work_begins_in_shards_that_are_being_let_go_of(make):
    first = make("a7")
    await drain(lambda: first.shards.held == ALL, what="one replica holds all")
    second = make("b7")

    await drain(lambda: second.shards.held, what="some were handed over")

    assert not first.held_when_dropping & first.dropped()


async def test_a_replica_that_stood_still_for_too_long_lets_go_before_it_goes_on(make):
    ttl = timedelta(seconds=0.5)
    replica = make("a8", ttl=ttl, renew_every=OFTEN)
    await drain(lambda: replica.shards.held == ALL, what="one replica holds all")

    time.sleep(ttl.total_seconds())  # noqa: ASYNC251 - a process that gets no time at all

    await drain(lambda: replica.dropped() == ALL, within=timedelta(seconds=5), what="all let go of")
    await drain(lambda: replica.shards.held == ALL, what="all are held again")


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
