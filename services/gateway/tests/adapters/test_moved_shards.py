"""What a replica left undone when its shards moved comes after nothing another one says."""

import asyncio
import itertools
from datetime import timedelta

import pytest

from chassis.background import Background
from chassis.clock import new_id
from chassis.testing import drain
from contracts.generator import SHARDS, JobProgress, progress_subject, shard_of
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.adapters.edits import Edits
from gateway.adapters.shards import Shards
from gateway.main import started
from gateway.ports import EDIT, Screen

pytestmark = pytest.mark.asyncio(loop_scope="module")
INTERVAL = timedelta(seconds=0.05)
PEOPLE = range(50_001, 50_017)
ALL = frozenset(range(SHARDS))
LAST_WORD = "It is over"
_MESSAGES = itertools.count(1)


class Shown:
    """The edits of one replica, and what they brought to Telegram."""

    def __init__(self) -> None:
        self.held = ALL
        self.texts: list[str] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.begun = asyncio.Event()
        self.edits = Edits(Background(), interval=INTERVAL, held=lambda: self.held)
        self.edits.connect(self._edit)
        self.place = (7, next(_MESSAGES))

    async def _edit(self, _chat_id: int, _message_id: int, screen: Screen) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.texts.append(screen.text)

    def offer(self, text: str) -> None:
        self.edits.offer(*self.place, Screen(text=text))

    async def shows(self, text: str) -> None:
        await drain(lambda: text in self.texts, what=text)


async def test_what_waits_is_forgotten_even_if_the_shard_comes_back_at_once():
    shown = Shown()
    shown.offer("10 %")
    await shown.shows("10 %")
    shown.offer("20 %")

    await shown.edits.let_go(frozenset({shard_of(7)}))

    await asyncio.sleep(2 * INTERVAL.total_seconds())  # what waited would be made within it
    shown.offer("30 %")
    await shown.shows("30 %")
    assert shown.texts == ["10 %", "30 %"]


async def test_what_waits_in_other_shards_is_shown():
    shown = Shown()
    shown.offer("10 %")
    await shown.shows("10 %")
    shown.offer("20 %")

    await shown.edits.let_go(frozenset({shard_of(8)}))

    await shown.shows("20 %")


async def test_an_edit_under_way_ends_before_the_shard_is_let_go():
    shown = Shown()
    shown.may_end.clear()
    shown.offer("10 %")
    await shown.begun.wait()

    leaving = asyncio.create_task(shown.edits.let_go(frozenset({shard_of(7)})))
    await asyncio.sleep(0)
    left_too_soon = leaving.done()
    shown.may_end.set()
    await leaving

    assert not left_too_soon
    assert shown.texts == ["10 %"]


async def test_nothing_is_shown_where_another_replica_may_speak():
    """As after a silence, when the shards were not let go of yet."""
    shown = Shown()
    shown.offer("10 %")
    await shown.shows("10 %")
    shown.offer("20 %")

    shown.held = frozenset()
    await asyncio.sleep(2 * INTERVAL.total_seconds())  # what waited would be made within it
    shown.offer("30 %")
    shown.held = ALL
    shown.offer("40 %")
    await shown.shows("40 %")

    assert shown.texts == ["10 %", "40 %"]


class Running:
    """People with a running order each, whose status message is their welcome."""

    def __init__(self, platform) -> None:
        self.platform = platform
        self.orders: dict[int, tuple] = {}

    async def begin(self, person: int) -> None:
        people = self.platform.people
        await people.user(person, first_name="A", language_code="en", started=True)
        await people.say(person, "/start")
        message_id = (await people.wait_message(person))["message_id"]
        order_id = new_id()
        await self.platform.rows(
            "INSERT INTO screens (order_id, user_id, workflow_id, catalogue_version, "
            "price_credits, base_price_credits, priced_at, state, created_at, updated_at) "
            "VALUES ($1, $2, 'image.enhance', 1, 0, 0, now(), 'running', now(), now())",
            order_id,
            person,
        )
        await self.platform.rows(
            "INSERT INTO messages (chat_id, key, message_id, updated_at) "
            "VALUES ($1, $2, $3, now())",
            person,
            f"order:{order_id}",
            message_id,
        )
        self.orders[person] = order_id, message_id

    async def progress(self, fraction: float) -> None:
        for person, (order_id, _) in self.orders.items():
            progress = JobProgress(order_id=order_id, user_id=person, fraction=fraction)
            subject = progress_subject(person, order_id)
            await self.platform.broker.publish_ephemeral(subject, progress.encode())

    async def end(self, person: int, outbox, deliveries: PostgresDeliveries) -> None:
        order_id, _ = self.orders[person]
        async with outbox.begin() as uow:
            await uow.connection.execute(
                "UPDATE screens SET state = 'completed' WHERE order_id = $1", order_id
            )
            await deliveries.queue(
                uow,
                user_id=person,
                screen=Screen(text=LAST_WORD),
                kind=EDIT,
                key=f"order:{order_id}",
                final=True,
            )

    async def says(self, person: int, words: str) -> bool:
        _, message_id = self.orders[person]
        messages = await self.platform.people.messages(person)
        return any(m["message_id"] == message_id and words in m["text"] for m in messages)


@pytest.fixture
def never_silent(monkeypatch):
    """A machine that stands still for two seconds would make a replica forget what waits."""
    patient = {**Shards.__init__.__kwdefaults__, "ttl": timedelta(minutes=5)}
    monkeypatch.setattr(Shards.__init__, "__kwdefaults__", patient)


@pytest.mark.usefixtures("never_silent")
async def test_progress_that_waited_here_does_not_follow_the_end_said_there(platform, outbox):
    """The other replica comes and goes; what waits here meanwhile is due an hour later."""
    first = await platform.start(edit_interval=3_600, chat_sends_per_second=100)
    running = Running(platform)
    for person in PEOPLE:
        await running.begin(person)
    await running.progress(0.1)
    for person in PEOPLE:
        await drain(lambda who=person: running.says(who, "10"), what="progress")
    await running.progress(0.2)
    edits = first.sender.edits
    await drain(lambda: len(edits._waiting) == len(PEOPLE), what="more of it waits its turn")
    waiting = list(edits._waiting)

    async with started(platform.settings(chat_sends_per_second=100)) as (_service, second):
        await drain(
            lambda: second.shards.held and first.shards.held | second.shards.held == ALL,
            what="two replicas hold all",
        )
        moved = [person for person in PEOPLE if shard_of(person) in second.shards.held]
        assert [each for each in PEOPLE if not edits.may_change(each, 1)] == moved
        deliveries = PostgresDeliveries(new_id, second.delivery_runner.wake)
        for person in moved:
            await running.end(person, outbox, deliveries)
        for person in moved:
            await drain(lambda who=person: running.says(who, LAST_WORD), what="the last word")
    await drain(lambda: first.shards.held == ALL, what="the first has all again")
    for place in waiting:
        edits._due(place)
    await drain(lambda: not edits._under_way, what="what waited is shown")

    assert [each for each in PEOPLE if await running.says(each, LAST_WORD)] == moved
    assert [each for each in PEOPLE if not await running.says(each, "20")] == moved


async def test_after_a_silence_no_progress_is_shown(platform, gateway, monkeypatch):
    """Not even before the shards are let go of: others may have taken them."""
    await drain(lambda: gateway.shards.held, what="shards are held")
    place = next(iter(gateway.shards.held)), 1
    assert gateway.sender.edits.may_change(*place)

    with monkeypatch.context() as patched:
        patched.setattr(gateway.shards, "_said_at", float("-inf"))
        assert not gateway.sender.edits.may_change(*place)
