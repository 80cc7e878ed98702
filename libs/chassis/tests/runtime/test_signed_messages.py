"""Over a real nats-server: what nobody vouches for is parked and never handled, the rest is."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chassis.broker import Broker, OutgoingMessage
from chassis.clock import new_id
from chassis.consumers import ExactlyOnce, Received, Route
from chassis.outbox import UnitOfWork
from chassis.testing import drain, signatures_of, signed, wire
from contracts import billing
from contracts.envelope import HEADER_ID, HEADER_SIGNATURE
from contracts.producers import OPERATOR

Start = Callable[..., ExactlyOnce]


@pytest.fixture
def broker(signing_broker: Broker) -> Broker:
    return signing_broker


def grant(key: str = "k") -> billing.GrantCredits:
    return billing.GrantCredits(grant_key=key, user_id=1, credits=1, reason="t", actor="t")


async def test_an_operators_order_is_handled_and_a_forged_one_is_parked(
    consume: Start, tables: Any, connected: Callable[..., Any], stranger: Broker
) -> None:
    operator, vpn = await connected(OPERATOR), await connected("vpn")
    consume()

    await stranger.publish(grant().subject, grant("unsigned").encode(), wire())
    await vpn.publish(grant().subject, grant("of vpn").encode(), wire())
    await operator.publish(grant().subject, grant("true").encode(), wire())
    await tables.until(handled=1, parked=2)

    assert await tables.done() == ["true"]
    rows = await tables.refused()
    assert sorted(row["reason"] for row in rows) == ["unsigned", "wrong_producer"]
    assert {billing.GrantCredits.decode(row["body"]).grant_key for row in rows} == {
        "unsigned",
        "of vpn",
    }


def _other_body(message: OutgoingMessage) -> OutgoingMessage:
    return message._replace(body=grant("altered").encode())


def _other_id(message: OutgoingMessage) -> OutgoingMessage:
    return message._replace(headers={**message.headers, HEADER_ID: str(new_id())})


def _other_subject(message: OutgoingMessage) -> OutgoingMessage:
    return message._replace(subject=billing.SetTier.subject)


def _other_signature(message: OutgoingMessage) -> OutgoingMessage:
    party, key, _ = message.headers[HEADER_SIGNATURE].split(".")
    return message._replace(
        headers={**message.headers, HEADER_SIGNATURE: f"{party}.{key}.{'A' * 86}=="}
    )


@pytest.mark.parametrize("change", [_other_body, _other_id, _other_subject, _other_signature])
async def test_a_message_that_was_changed_on_the_way_is_parked(
    consume: Start,
    tables: Any,
    keys: Path,
    stranger: Broker,
    change: Callable[[OutgoingMessage], OutgoingMessage],
) -> None:
    consume()
    true = signed(keys, OPERATOR, grant("true"))

    assert await stranger.publish_all([change(true)]) == [True]
    await tables.until(parked=1)

    assert [row["reason"] for row in await tables.refused()] == ["bad_signature"]
    assert await tables.done() == []


async def test_the_same_message_again_is_handled_once(
    consume: Start,
    tables: Any,
    keys: Path,
    stranger: Broker,
    forget_ids: Any,
) -> None:
    """A replay is a redelivery, and the inbox knows it; past the server's own window too."""
    consume()
    true = signed(keys, OPERATOR, grant("once"))
    await stranger.publish_all([true])
    await tables.until(handled=1)

    await forget_ids()
    assert await stranger.publish_all([true]) == [True]
    await stranger.publish_all([signed(keys, OPERATOR, grant("last"))])
    await tables.until(handled=2)

    assert await tables.done() == ["once", "last"]
    assert await tables.refused() == []


async def test_a_forged_message_does_not_take_the_true_ones_id(
    consume: Start,
    tables: Any,
    keys: Path,
    stranger: Broker,
    forget_ids: Any,
) -> None:
    """Ids of some events can be guessed: parked under it, the true one would count as handled."""
    consume()
    true = signed(keys, OPERATOR, grant("true"))
    forged = grant("forged").encode()

    await stranger.publish(true.subject, forged, {HEADER_ID: true.headers[HEADER_ID]})
    await tables.until(parked=1)
    await forget_ids()
    assert await stranger.publish_all([true]) == [True]
    await tables.until(handled=1)

    assert await tables.done() == ["true"]
    (row,) = await tables.refused()
    assert row["headers"][HEADER_ID] == true.headers[HEADER_ID]
    assert str(row["id"]) != true.headers[HEADER_ID]


async def test_messages_of_one_batch_are_judged_each_by_itself(
    consume: Start, tables: Any, keys: Path, stranger: Broker
) -> None:
    """They share a signature; what is changed in one does not spoil its neighbours."""
    batch = list(
        signatures_of(keys, OPERATOR).sign_all(
            [
                OutgoingMessage(billing.GrantCredits.subject, grant(f"{n}").encode(), wire())
                for n in range(100)
            ]
        )
    )
    batch[7] = batch[7]._replace(body=grant("forged").encode())
    batch[70] = batch[70]._replace(headers=wire())

    assert all(await stranger.publish_all(batch))
    consume()
    await tables.until(handled=98, parked=2)

    assert sorted(await tables.done()) == sorted({f"{n}" for n in range(100)} - {"7", "70"})
    reasons = sorted(row["reason"] for row in await tables.refused())
    assert reasons == ["bad_signature", "unsigned"]


async def test_a_handler_knows_who_sent_it(
    consume: Start, tables: Any, connected: Callable[..., Any]
) -> None:
    found: list[str] = []

    async def take(batch: Sequence[Received[billing.GrantCredits]], _uow: UnitOfWork) -> None:
        found.extend(each.producer for each in batch)

    consume(Route(message=billing.GrantCredits, handler=take, batch=True))
    await (await connected(OPERATOR)).publish(grant().subject, grant().encode(), wire())

    await drain(lambda: found == [OPERATOR], what="the handler has its message")
