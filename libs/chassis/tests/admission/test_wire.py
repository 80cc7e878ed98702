"""What whoever listens on the wire between a service and nats-server gets to read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from chassis.broker import Broker
from chassis.errors import ConfigurationError
from chassis.identity import Identity, impatient
from chassis.testing import drain
from devstack import nats_security
from devstack.testing import SecuredNats, private_nats, secured_nats

SUBJECT = "billing.evt.a_subject_to_be_listened_for"
BODY = b"credits of somebody: 4711"
ID = "0193a1b2-0000-7000-8000-00000000beef"
HANDSHAKE = b"\x16\x03"
"""How a record of TLS that holds a handshake begins."""


class Relay:
    """Stands before a server on loopback, hands everything on and keeps a copy."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._connections: list[asyncio.Task[None]] = []
        self.from_client = b""
        self.from_server = b""

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"{self._target.scheme}://127.0.0.1:{port}"

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Relay"]:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.gather(*self._connections)

    def secrets_read(self) -> Iterator[str]:
        """Name what of the message is there to be read, and in which direction."""
        for way, heard in (("from us", self.from_client), ("to us", self.from_server)):
            for secret in (SUBJECT.encode(), BODY, ID.encode(), b"PUB ", b"CONNECT", b"MSG "):
                if secret in heard:
                    yield f"{secret.decode()} {way}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        current = asyncio.current_task()
        assert current is not None
        self._connections.append(current)
        there = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers += [writer, there[1]]
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(
                self._hand_on(reader, there[1], ours=True),
                self._hand_on(there[0], writer, ours=False),
            )

    async def _hand_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, ours: bool
    ) -> None:
        try:
            while piece := await reader.read(65_536):
                if ours:
                    self.from_client += piece
                else:
                    self.from_server += piece
                writer.write(piece)
                await writer.drain()
        finally:
            writer.close()


@pytest.fixture
async def nats() -> AsyncIterator[SecuredNats]:
    async with secured_nats() as running:
        yield running


@asynccontextmanager
async def connected(url: str, identity: Identity) -> AsyncIterator[Broker]:
    broker = await Broker.connect(
        url, name="test", identity=identity, on_fatal=pytest.fail, on_refused=impatient
    )
    try:
        yield broker
    finally:
        await broker.close()


async def say_and_hear(url: str, identity: Identity) -> None:
    """Send a message by a connection, and get it back by the same."""
    heard: list[bytes] = []
    async with connected(url, identity) as broker:

        async def hear(message: object) -> None:
            heard.append(message.body)  # type: ignore[attr-defined]

        await broker.subscribe(SUBJECT, hear)
        await broker.nc.publish(SUBJECT, BODY, headers={"Nats-Msg-Id": ID})
        await drain(lambda: heard == [BODY], what="the message")


async def test_subject_body_and_headers_are_not_to_be_read_on_the_wire(nats: SecuredNats) -> None:
    async with Relay(nats.server.url).listening() as relay:
        await say_and_hear(relay.url, nats.identity(nats_security.TESTS))

    assert list(relay.secrets_read()) == []
    assert len(relay.from_client) > len(BODY)
    assert relay.from_client.startswith(HANDSHAKE)
    greeting, _, rest = relay.from_server.partition(b"\r\n")
    assert greeting.startswith(b"INFO {")
    assert rest.startswith(HANDSHAKE)


async def test_without_tls_all_of_it_is_there() -> None:
    """The control: the relay would have seen it."""
    async with private_nats() as plain, Relay(plain.url).listening() as relay:
        await say_and_hear(relay.url, Identity(user="tests"))

    read = set(relay.secrets_read())
    assert {f"{SUBJECT} from us", f"{SUBJECT} to us"} <= read
    assert {f"{BODY.decode()} from us", f"{BODY.decode()} to us", f"{ID} from us"} <= read
    assert "CONNECT from us" in read


async def test_nothing_is_said_in_clear_to_a_server_without_tls(nats: SecuredNats) -> None:
    known = nats.identity("billing")
    ours = Identity(
        user="billing",
        tls_dir=known.tls_dir,
        seed_file=known.seed_file,
        settings_prefix="BILLING_",
    )
    async with private_nats() as plain, Relay(plain.url).listening() as relay:
        for url in (relay.url, relay.url.replace("nats:", "tls:")):
            with pytest.raises(ConfigurationError) as raised:
                async with asyncio.timeout(30), connected(url, ours):
                    pass
            assert "BILLING_NATS_TLS_DIR" in str(raised.value)

    assert relay.from_server.startswith(b"INFO {")
    assert list(relay.secrets_read()) == []
    assert relay.from_client == b""
