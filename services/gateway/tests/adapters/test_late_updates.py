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
from gateway.domain.callbacks import SetLanguage, pack

pytestmark = pytest.mark.asyncio(loop_scope="module")
IDS = itertools.count(7_000_000, 100)
LANGUAGE = "SELECT language FROM persons WHERE user_id = $1"
HANDLED = "SELECT handled_at FROM updates WHERE update_id = $1"


def tap(user_id: int, update_id: int, data: str) -> bytes:
    person = {"id": user_id, "is_bot": False, "first_name": "A", "language_code": "en"}
    message = {
        "message_id": 1,
        "date": 1_790_000_000,
        "chat": {"id": user_id, "type": "private"},
        "from": {"id": 42, "is_bot": True, "first_name": "V"},
        "text": "…",
    }
    query = {"id": "1", "from": person, "chat_instance": "1", "data": data, "message": message}
    return msgspec.json.encode({"update_id": update_id, "callback_query": query})


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
    parked_id, update_id = new_id(), next(IDS)
    await platform.rows(
        "INSERT INTO parked (id, stream, consumer, subject, headers, body, reason, traceparent, "
        "parked_at, state) VALUES ($1, 'UPDATES', 'c', $2, $3, $4, 'failed', '', now(), 'parked')",
        parked_id,
        f"gateway.updates.{shard_of(person)}",
        msgspec.json.encode(said_at(came + timedelta(hours=hours))).decode(),
        tap(person, update_id, pack(SetLanguage("en"))),
    )

    reply = await rpc.request(
        platform.broker,
        parked.RedriveParked(id=parked_id, actor="test"),
        parked.Redriven,
        subject="gateway.rpc.parked_redrive",
    )

    assert reply.changed
    await drain(lambda: platform.value(HANDLED, update_id), what="the update is handled")
    assert await platform.value(LANGUAGE, person) == language
