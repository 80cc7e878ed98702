"""Updates that were handed back or parked are judged by the moment they came to the shop."""

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from chassis import parked, rpc
from chassis.broker import OutgoingMessage
from chassis.clock import new_id
from chassis.testing import drain
from contracts.envelope import HEADER_SENT_AT
from contracts.generator import shard_of
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.domain.callbacks import HELP, OpenPage, SetLanguage, pack
from gateway.domain.callbacks import LANGUAGE as LANGUAGE_PAGE
from gateway.ports import EDIT, Screen

pytestmark = pytest.mark.asyncio(loop_scope="module")
IDS = itertools.count(7_000_000, 100)
LANGUAGE = "SELECT language FROM persons WHERE user_id = $1"
HANDLED = "SELECT handled_at FROM updates WHERE update_id = $1"


def tap(user_id: int, update_id: int, data: str, message_id: int = 1) -> bytes:
    person = {"id": user_id, "is_bot": False, "first_name": "A", "language_code": "en"}
    message = {
        "message_id": message_id,
        "date": 1_790_000_000,
        "chat": {"id": user_id, "type": "private"},
        "from": {"id": 42, "is_bot": True, "first_name": "V"},
        "text": "…",
    }
    query = {"id": "1", "from": person, "chat_instance": "1", "data": data, "message": message}
    return msgspec.json.encode({"update_id": update_id, "callback_query": query})


async def redriven(platform, person: int, data: str, came: datetime, message_id: int = 1) -> int:
    """Have an operator re-drive a parked update that came at that moment."""
    parked_id, update_id = new_id(), next(IDS)
    await platform.rows(
        "INSERT INTO parked (id, stream, consumer, subject, headers, body, reason, traceparent, "
        "parked_at, state) VALUES ($1, 'UPDATES', 'c', $2, $3, $4, 'failed', '', now(), 'parked')",
        parked_id,
        f"gateway.updates.{shard_of(person)}",
        msgspec.json.encode(said_at(came)).decode(),
        tap(person, update_id, data, message_id),
    )
    reply = await rpc.request(
        platform.broker,
        parked.RedriveParked(id=parked_id, actor="test"),
        parked.Redriven,
        subject="gateway.rpc.parked_redrive",
    )
    assert reply.changed
    await drain(lambda: platform.value(HANDLED, update_id), what="the update is handled")
    return update_id


def said_at(moment: datetime) -> dict[str, str]:
    return {HEADER_SENT_AT: moment.isoformat()}


async def worked(platform, person: int, language: str, came: datetime) -> int:
    """Have the gateway work a choice that came at that moment."""
    update_id = next(IDS)
    body = tap(person, update_id, pack(SetLanguage(language)))
    message = OutgoingMessage(f"gateway.updates.{shard_of(person)}", body, said_at(came))
    await platform.broker.publish_all([message])
    await drain(lambda: platform.value(HANDLED, update_id), what="the update is handled")
    return update_id


async def test_an_update_handed_back_is_no_newer_than_it_was(platform, person, gateway):
    """As the stream brings it when its replica was killed: behind those that came after it."""
    now = datetime.now(UTC)
    await worked(platform, person, "ru", now)

    await worked(platform, person, "en", now - timedelta(seconds=3))

    assert await platform.value(LANGUAGE, person) == "ru"
    await worked(platform, person, "en", now + timedelta(milliseconds=1))
    assert await platform.value(LANGUAGE, person) == "en"


@pytest.mark.parametrize(("hours", "language"), [(-1, "ru"), (+1, "en")])
async def test_a_parked_update_redriven_by_an_operator_is_as_old_as_it_was(
    platform, person, gateway, hours, language
):
    """The choice worked meanwhile came an hour after the parked one, or an hour before it."""
    came = datetime.now(UTC) - timedelta(days=1)
    await worked(platform, person, "ru", came)
    data = pack(SetLanguage("en"))

    await redriven(platform, person, data, came + timedelta(hours=hours))

    assert await platform.value(LANGUAGE, person) == language


async def shown(platform, person: int) -> int:
    """A message of the bot's."""
    await platform.people.say(person, "/help")
    return (await platform.people.wait_message(person))["message_id"]


async def text_of(platform, person: int, message_id: int) -> str:
    messages = await platform.people.messages(person)
    return next(each["text"] for each in messages if each["message_id"] == message_id)


async def waiting_edits(platform, person: int) -> int:
    return await platform.value(
        "SELECT count(*) FROM deliveries WHERE user_id = $1 AND kind = 'edit' "
        "AND created_at > now() - interval '1 minute'",
        person,
    )


@pytest.mark.parametrize("by", ["an update", "an event"])
async def test_a_redriven_update_leaves_what_was_shown_since_it_came(
    platform, person, gateway, outbox, by
):
    message_id = await shown(platform, person)
    came = datetime.now(UTC)
    if by == "an update":
        # Its id is lower: Telegram began anew meanwhile.
        body = tap(
            person, 6_000_000 + person % 1_000_000, pack(OpenPage(LANGUAGE_PAGE)), message_id
        )
        message = OutgoingMessage(f"gateway.updates.{shard_of(person)}", body, {})
        await platform.broker.publish_all([message])
        before = await platform.people.wait_message(person, lambda each: each["edited_at"])
    else:
        await platform.rows(
            "INSERT INTO messages (chat_id, key, message_id, updated_at) "
            "VALUES ($1, 'k', $2, now())",
            person,
            message_id,
        )
        deliveries = PostgresDeliveries(new_id, gateway.delivery_runner.wake)
        async with outbox.begin() as uow:
            screen = Screen(text="newer")
            await deliveries.queue(uow, user_id=person, screen=screen, kind=EDIT, key="k")
        before = await platform.people.wait_message(person, lambda each: each["text"] == "newer")
    queued = await waiting_edits(platform, person)

    await redriven(platform, person, pack(OpenPage(HELP)), came, message_id)

    assert await waiting_edits(platform, person) == queued
    assert await text_of(platform, person, message_id) == before["text"]


async def test_a_redriven_update_edits_what_nothing_has_edited_since(platform, person, gateway):
    message_id = await shown(platform, person)
    before = await text_of(platform, person, message_id)

    await redriven(platform, person, pack(OpenPage(LANGUAGE_PAGE)), datetime.now(UTC), message_id)

    await platform.people.wait_message(person, lambda each: each["text"] != before)
