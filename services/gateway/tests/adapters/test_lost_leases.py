"""A replica that stood still ends late what another one has taken over: it leaves that alone."""

from datetime import UTC, datetime

import pytest
import pytest_asyncio

from chassis.clock import new_id
from chassis.errors import TransientError
from chassis.testing import drain
from contracts.generator import shard_of
from gateway.adapters.telegram import FileTooLargeError

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def overtaken(platform, person, gateway):
    """A delivery this replica is at, of a shard another one took over after a silence."""
    other, shard = new_id(), shard_of(person)

    async def begin(words: str) -> tuple:
        await platform.people.fault(
            "latency", method="sendMessage", chat_id=person, times=1, seconds=1
        )
        delivery_id = new_id()
        await platform.rows(
            "INSERT INTO deliveries (id, user_id, shard, kind, key, body, due_at, created_at) "
            "VALUES ($1, $2, $3, 'send', '', $4, now(), $5)",
            delivery_id,
            person,
            shard,
            f'{{"screen": {{"text": "{words}"}}}}',
            datetime.now(UTC),
        )
        taken = "UPDATE deliveries SET leased_by = $2 WHERE id = $1 AND leased_by = $3 RETURNING 1"
        gateway.delivery_runner.look()
        await drain(
            lambda: platform.value(taken, delivery_id, other, gateway.replica), what="it is taken"
        )
        await gateway.delivery_runner.let_go(frozenset({shard}))
        state = "SELECT state, leased_by = $2 FROM deliveries WHERE id = $1"
        ((state, is_others),) = await platform.rows(state, delivery_id, other)
        return state, is_others

    yield begin
    await gateway.delivery_runner.take_over(frozenset({shard}))
    gateway.delivery_runner.look()


async def test_a_late_failure_leaves_anothers_lease_alone(platform, person, overtaken):
    """Freed by it, the message would be taken by a third while the second is sending it."""
    await platform.people.fault("500", method="sendMessage", chat_id=person, times=1)

    assert await overtaken("hello") == ("intent", True)


async def test_a_late_refusal_is_not_recorded_over_anothers_try(platform, person, overtaken):
    await platform.people.fault("400", method="sendMessage", chat_id=person, times=1)

    assert await overtaken("hello") == ("intent", True)


async def test_what_was_sent_is_recorded_whoever_holds_it_now(platform, person, overtaken):
    assert (await overtaken("hello"))[0] == "sent"


@pytest.mark.parametrize(
    "end", [TransientError("cut off"), FileTooLargeError(), AssertionError("a bug")], ids=repr
)
async def test_a_late_end_of_a_download_leaves_anothers_lease_alone(
    platform, person, gateway, picture, monkeypatch, end
):
    other = new_id()

    async def overtaken(*_arguments, **_options):
        await platform.rows("UPDATE media SET leased_by = $2 WHERE user_id = $1", person, other)
        raise end

    with monkeypatch.context() as patched:
        patched.setattr(gateway.telegram, "download", overtaken)
        await platform.people.send_file(person, picture)
        theirs = "SELECT count(*) FROM media WHERE user_id = $1 AND leased_by = $2"
        await drain(lambda: platform.value(theirs, person, other), what="another has it")
        await drain(lambda: not gateway.downloads._rows._under_way, what="the late end")

    state = "SELECT state, leased_by = $2 FROM media WHERE user_id = $1"
    assert tuple((await platform.rows(state, person, other))[0]) == ("downloading", True)
