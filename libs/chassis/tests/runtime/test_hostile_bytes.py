"""What a client other than ours may put on the wire ends among the parked, not the connection."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from chassis import rpc
from chassis.broker import Broker
from chassis.clock import new_id
from chassis.consumers import ExactlyOnce, Route
from chassis.database import Database
from chassis.outbox import UnitOfWork
from chassis.testing import drain
from contracts import billing
from contracts.envelope import Headers
from contracts.ids import MessageId

Consume = Callable[..., ExactlyOnce]


async def send(nats_url: str, subject: bytes, headers: bytes = b"", reply: bytes = b"") -> None:
    """Publish from a bare socket, and wait until the server has taken it."""
    parts = urlsplit(nats_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b'CONNECT {"verbose":false,"headers":true}\r\n')
    if headers:
        head = b"NATS/1.0\r\n" + headers + b"\r\n\r\n"
        sizes = b"%d %d" % (len(head), len(head) + 2)
        writer.write(b"HPUB %b %b %b\r\n%bhi\r\nPING\r\n" % (subject, reply, sizes, head))
    else:
        writer.write(b"PUB %b %b 2\r\nhi\r\nPING\r\n" % (subject, reply))
    async with asyncio.timeout(30):
        while (line := await reader.readline()) != b"PONG\r\n":
            assert line.startswith((b"INFO", b"+OK")), line
    writer.close()


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        (b"billing.cmd.\xff\xfe", b""),
        (b"billing.cmd.\xff\xfe", b"Nats-Msg-Id: \xfd"),
        (b"billing.cmd.a\x0cb", b""),
        (b"billing.cmd.a\x0bb", b"A\xff: \xfd\xfe"),
        (billing.GrantCredits.subject.encode(), b"Nats-Msg-Id\xff: \xfd\xfe"),
    ],
)
async def test_bytes_that_are_no_text_are_parked_and_the_next_message_is_handled(
    broker: Broker,
    consume: Consume,
    database: Database,
    nats_url: str,
    subject: bytes,
    headers: bytes,
) -> None:
    handled = asyncio.Event()

    async def handle(_command: billing.GrantCredits, _uow: UnitOfWork) -> None:
        handled.set()

    reconnects: list[bool] = []
    broker.on_reconnect(lambda: reconnects.append(True))
    consume(Route(message=billing.GrantCredits, handler=handle))
    await send(nats_url, subject, headers)
    command = billing.GrantCredits(grant_key="k", user_id=1, credits=1, reason="t", actor="t")
    await broker.publish(
        command.subject, command.encode(), Headers(id=MessageId(new_id())).to_wire()
    )

    async with asyncio.timeout(30):
        await handled.wait()

    async def parked() -> bool:
        async with database.read() as connection:
            return await connection.fetchval("SELECT count(*) FROM parked") == 1

    await drain(parked, what="the message to be parked")
    assert reconnects == []


@pytest.mark.parametrize("reply", [b"_INBOX.\xff", b"_INBOX.a\x0cb"])
async def test_a_request_from_such_a_client_does_not_stop_the_answers(
    broker: Broker, nats_url: str, reply: bytes
) -> None:
    asked: list[int] = []
    reconnects: list[bool] = []
    broker.on_reconnect(lambda: reconnects.append(True))

    async def handle(request: billing.GetBalance) -> billing.Balance:
        asked.append(request.user_id)
        raise rpc.RpcTimeoutError

    answering = await rpc.answer(broker, billing.GetBalance, handle)
    await broker.nc.barrier()
    await send(nats_url, billing.GetBalance.subject.encode(), b"\xff\xfe: \xfd", reply)
    with pytest.raises(rpc.RpcFailedError, match="unavailable"):
        await rpc.request(broker, billing.GetBalance(user_id=7), billing.Balance)

    assert asked == [7]
    assert reconnects == []
    await answering.stop()
