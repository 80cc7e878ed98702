"""The effect worker: a slow call holds up nobody but itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from chassis import effects
from chassis.background import Background
from chassis.clock import id_floor
from chassis.database import Database
from chassis.effects import Effect, EffectKind, EffectResult, EffectWorker
from chassis.outbox import Outbox
from chassis.testing import drain
from contracts.ids import derived_id

Start = Callable[[EffectKind], None]


@pytest.fixture
async def start(outbox: Outbox) -> AsyncIterator[Start]:
    background = Background()

    def run(kind: EffectKind) -> None:
        worker = EffectWorker(outbox, {kind.name: kind})
        background.spawn(worker.run(background.stopping), name="effects")

    yield run
    background.stopping.set()
    outbox.stop()  # wakes the worker, as at every stop of a service
    await background.stop(timedelta(seconds=5))
    assert background.failure is None


async def ask(outbox: Outbox, *keys: str) -> None:
    async with outbox.begin() as uow:
        for key in keys:
            uow.effect("toy", key, b"")


async def states(database: Database) -> dict[str, str]:
    async with database.read() as connection:
        return {
            row["key"]: row["state"]
            for row in await connection.fetch("SELECT key, state FROM effects")
        }


async def test_a_slow_effect_does_not_hold_up_those_that_come_later(
    outbox: Outbox, database: Database, start: Start
) -> None:
    release, entered = asyncio.Event(), asyncio.Event()

    async def call(effect: Effect) -> EffectResult:
        if effect.key == "slow":
            entered.set()
            await release.wait()
        return EffectResult.done()

    await ask(outbox, "slow")
    start(EffectKind(name="toy", call=call))
    await entered.wait()

    for round_ in range(3):
        await ask(outbox, f"quick {round_}")

        async def done(key: str = f"quick {round_}") -> bool:
            return (await states(database))[key] == "done"

        await drain(done, what="the quick effect")

    assert (await states(database))["slow"] == "due"
    release.set()


async def test_no_more_effects_run_at_once_than_the_limit(
    outbox: Outbox, database: Database, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "AT_ONCE_MAX", 3)
    # A place that becomes free is taken at once: nobody waits for the next poll.
    monkeypatch.setattr(effects, "POLL_EVERY_SECONDS", 3_600)
    gate = asyncio.Semaphore(0)
    running: set[str] = set()
    peak = 0

    async def call(effect: Effect) -> EffectResult:
        nonlocal peak
        running.add(effect.key)
        peak = max(peak, len(running))
        await gate.acquire()
        running.discard(effect.key)
        return EffectResult.done()

    await ask(outbox, *map(str, range(10)))
    start(EffectKind(name="toy", call=call))
    await drain(lambda: len(running) == 3, what="all places taken")
    for _ in range(10):
        gate.release()

    async def all_done() -> bool:
        return set((await states(database)).values()) == {"done"}

    await drain(all_done, what="the others, one place after the other")
    assert peak == 3


async def test_an_effect_that_cannot_be_settled_does_not_end_the_others(
    outbox: Outbox, database: Database, start: Start
) -> None:
    async def call(effect: Effect) -> EffectResult:
        async with database.read() as connection:
            await connection.execute(
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'no'; END $$"
            )
            await connection.execute(
                "CREATE OR REPLACE TRIGGER refuse BEFORE UPDATE ON effects FOR EACH ROW "
                "WHEN (old.key = 'bad' AND new.leased_until IS NULL) EXECUTE FUNCTION refuse()"
            )
        return EffectResult.done()

    await ask(outbox, "bad")
    start(EffectKind(name="toy", call=call))

    async def claimed() -> bool:
        async with database.read() as connection:
            return bool(await connection.fetchval("SELECT attempts FROM effects"))

    await drain(claimed, what="the first claim")
    await ask(outbox, "good")

    async def done() -> bool:
        return (await states(database))["good"] == "done"

    await drain(done, what="the good one")
    assert (await states(database))["bad"] == "due"


class Lamp:
    """Something outside that effects set; a call may be held on its way."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.held: dict[str, asyncio.Event] = {}
        self.entered: dict[str, asyncio.Event] = {}
        self.results: dict[str, list[EffectResult | Exception]] = {}

    def hold(self, key: str) -> None:
        self.held[key], self.entered[key] = asyncio.Event(), asyncio.Event()

    async def call(self, effect: Effect) -> EffectResult:
        if effect.key in self.held:
            self.entered[effect.key].set()
            await self.held[effect.key].wait()
        if self.results.get(effect.key):
            found = self.results[effect.key].pop(0)
            if isinstance(found, Exception):
                raise found
            return found
        self.made.append(effect.key)
        return EffectResult.done()


async def set_lamp(outbox: Outbox, key: str, about: str = "lamp") -> None:
    async with outbox.begin() as uow:
        uow.effect("toy", key, b"", about=about)


async def under_way(lamp: Lamp, outbox: Outbox, start: Start) -> None:
    """A worker runs, and its first call is held on the way."""
    lamp.hold("1")
    await set_lamp(outbox, "1")
    start(EffectKind(name="toy", call=lamp.call))
    await lamp.entered["1"].wait()


async def settled(database: Database, *keys: str) -> bool:
    found = await states(database)
    return all(found[key] == "done" for key in keys)


async def test_an_older_call_about_the_same_that_has_to_wait_is_never_made(
    outbox: Outbox, database: Database, start: Start
) -> None:
    lamp = Lamp()
    lamp.results["1"] = [EffectResult.retry("away", timedelta(milliseconds=1))]
    await set_lamp(outbox, "1")
    worker = EffectWorker(outbox, {"toy": EffectKind(name="toy", call=lamp.call)})
    assert await worker.work_once() == 1
    await set_lamp(outbox, "2")
    await set_lamp(outbox, "1 of another", about="another")

    start(EffectKind(name="toy", call=lamp.call))
    await drain(lambda: settled(database, "1", "2", "1 of another"), what="all settled")

    assert sorted(lamp.made) == ["1 of another", "2"]


async def test_an_older_call_that_ends_after_a_newer_one_has_it_made_again(
    outbox: Outbox, database: Database, start: Start
) -> None:
    lamp = Lamp()
    await under_way(lamp, outbox, start)
    await set_lamp(outbox, "2")
    await drain(lambda: settled(database, "2"), what="the newer one is made")

    lamp.held["1"].set()
    await drain(lambda: len(lamp.made) == 3, what="the newer one is made again")
    await drain(lambda: settled(database, "1", "2"), what="both settled")

    assert lamp.made == ["2", "1", "2"]


async def test_what_may_have_been_called_has_the_newer_one_made_again(
    outbox: Outbox, database: Database, start: Start
) -> None:
    lamp = Lamp()
    lamp.results["1"] = [ConnectionResetError()]
    await under_way(lamp, outbox, start)
    await set_lamp(outbox, "2")
    await drain(lambda: settled(database, "2"), what="the newer one is made")
    assert lamp.made == ["2"]

    lamp.held["1"].set()
    await drain(lambda: settled(database, "1"), what="the older one is given up")
    await drain(lambda: lamp.made == ["2", "2"], what="the newer one is made again")


async def test_of_calls_about_one_thing_the_newest_alone_is_repeated(
    outbox: Outbox, database: Database, start: Start
) -> None:
    lamp = Lamp()
    await under_way(lamp, outbox, start)
    for key in ("2", "3"):
        await set_lamp(outbox, key)
        await drain(lambda key=key: settled(database, key), what=f"{key} is made")

    lamp.held["1"].set()
    await drain(lambda: len(lamp.made) == 4, what="one of them is made again")
    await drain(lambda: settled(database, "1", "2", "3"), what="all settled")

    assert lamp.made == ["2", "3", "1", "3"]


async def test_an_older_call_whose_end_is_recorded_first_has_the_newer_one_made_again(
    outbox: Outbox, database: Database
) -> None:
    """Two replicas call at once; the older call arrives after the newer, and is recorded first."""
    made: list[str] = []
    entered, newer_made = asyncio.Event(), asyncio.Event()

    async def call(effect: Effect) -> EffectResult:
        if effect.key == "1":
            entered.set()
            await newer_made.wait()
            made.append("1")
            return EffectResult.done()
        made.append("2")
        newer_made.set()
        await drain(lambda: settled(database, "1"), what="the older one is recorded")
        return EffectResult.done()

    kinds = {"toy": EffectKind(name="toy", call=call)}
    first, second = EffectWorker(outbox, kinds), EffectWorker(outbox, kinds)
    await set_lamp(outbox, "1")
    async with asyncio.TaskGroup() as group:
        group.create_task(first.work_once())
        await entered.wait()
        await set_lamp(outbox, "2")
        group.create_task(second.work_once())
    while await first.work_once():
        pass

    assert made == ["2", "1", "2"]
    assert await settled(database, "1", "2")


async def test_a_call_made_again_has_all_its_attempts_anew(
    outbox: Outbox, database: Database, start: Start
) -> None:
    """What failed before it was made once says nothing of now."""
    lamp = Lamp()
    lamp.hold("1")
    soon = EffectResult.retry("away", timedelta(milliseconds=1))
    lamp.results["2"] = [soon, soon]
    numbers: list[int] = []

    async def call(effect: Effect) -> EffectResult:
        if effect.key == "2":
            numbers.append(effect.attempt)
        return await lamp.call(effect)

    await set_lamp(outbox, "1")
    start(EffectKind(name="toy", call=call, attempts_max=3))
    await lamp.entered["1"].wait()
    await set_lamp(outbox, "2")
    await drain(lambda: settled(database, "2"), what="the newer one is made at the last attempt")

    lamp.results["2"] = [soon, soon]
    lamp.held["1"].set()
    await drain(lambda: lamp.made == ["2", "1", "2"], what="the newer one is made again")
    await drain(lambda: settled(database, "1", "2"), what="both settled")

    assert numbers == [1, 2, 3, 1, 2, 3]


async def test_who_was_late_with_the_earlier_call_does_not_settle_the_later(
    outbox: Outbox, database: Database
) -> None:
    """Both are a first attempt: of the call, and of the call that is made again."""
    release, entered = asyncio.Event(), asyncio.Event()

    async def late(_effect: Effect) -> EffectResult:
        entered.set()
        await release.wait()
        return EffectResult.failed("late")

    worker = EffectWorker(outbox, {"toy": EffectKind(name="toy", call=late)})
    await set_lamp(outbox, "1")
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.work_once())
        await entered.wait()
        async with database.read() as connection:
            await connection.execute(
                "UPDATE effects SET attempts = attempts + 1, attempts_before = attempts, "
                "leased_until = now() + interval '1 hour'"
            )
        release.set()

    assert await states(database) == {"1": "due"}


async def test_words_order_their_calls_though_a_clock_is_ahead(outbox: Outbox) -> None:
    now = outbox.clock.now()
    keys = []
    for seconds in (3_600, -60, 0):
        async with outbox.begin() as uow:
            uow.message_id = derived_id(id_floor(now + timedelta(seconds=seconds)), "a word")
            keys.append(uow.word_key("lamp"))

    ahead, before, latest = keys
    assert before < ahead
    assert before < latest
    # Said an hour ahead, it counts as said now: whatever is said later comes after it.
    async with outbox.begin() as uow:
        uow.message_id = derived_id(id_floor(now + timedelta(seconds=1)), "later")
        uow.now = now + timedelta(seconds=2)
        assert uow.word_key("lamp") > ahead
