"""What one key may take of a server, and by which way its owner may come."""

import asyncio
from typing import Any

import nats as nats_py
import pytest
from nats.aio.client import Client

from chassis.testing import drain
from contracts import permissions
from contracts.accounts import MODES, SEPARATE
from contracts.permissions import ACCOUNT_LIMITS, CONNECTION_TYPES
from devstack import nats_security
from devstack.ports import LOOPBACK, free_port
from devstack.testing import SecuredNats, secured_nats

CONNECTIONS = 3


async def _unheard(_: Exception) -> None:
    """What a refused connection says is seen by what becomes of it."""


async def connected(nats: SecuredNats, user: str, url: str = "") -> Client:
    options: dict[str, Any] = nats_security.options(nats.identity(user))
    if url:
        del options["tls"]
    return await nats_py.connect(
        url or nats.server.url, allow_reconnect=False, error_cb=_unheard, **options
    )


@pytest.mark.parametrize("mode", MODES)
async def test_who_has_stolen_a_key_does_not_get_every_connection(monkeypatch, mode):
    monkeypatch.setattr(
        permissions, "ACCOUNT_LIMITS", {**ACCOUNT_LIMITS, "max_connections": CONNECTIONS}
    )
    async with secured_nats(accounts=mode) as nats:
        opened = [await connected(nats, "gateway") for _ in range(CONNECTIONS)]

        with pytest.raises(nats_py.errors.Error, match="account active connections exceeded"):
            await connected(nats, "gateway")

        if mode == SEPARATE:
            # An account of one's own is taken from nobody.
            opened.append(await connected(nats, "billing"))
        assert all(each.is_connected for each in opened)
        await asyncio.gather(*(each.close() for each in opened))


async def test_a_connection_has_so_many_subscriptions(nats_limited):
    client = await connected(nats_limited, "gateway")
    most = ACCOUNT_LIMITS["max_subscriptions"]
    for number in range(most):
        await client.subscribe(f"_INBOX_gateway.{number}")
    await client.flush()
    assert client.is_connected

    await client.subscribe("_INBOX_gateway.more")

    await drain(lambda: not client.is_connected, what="the end of the connection")


async def test_what_is_larger_than_any_message_of_ours_ends_its_connection(nats_limited):
    client = await connected(nats_limited, "gateway")
    most = ACCOUNT_LIMITS["max_payload"]
    await client.publish("gateway.wake.1", b"x" * most)
    await client.flush()
    assert client.is_connected

    await client.publish("gateway.wake.1", b"x" * (most + 1))

    await drain(lambda: not client.is_connected, what="the end of the connection")


async def test_nobody_comes_by_another_way_that_the_server_offers():
    port = free_port()
    more = f'websocket {{ listen: "{LOOPBACK}:{port}", no_tls: true }}\n'
    async with secured_nats(more=more) as nats:
        url = f"ws://{LOOPBACK}:{port}"
        anybody = await connected(nats, nats_security.TESTS, url)
        assert anybody.is_connected, "the way is open"
        await anybody.close()

        with pytest.raises(nats_py.errors.Error, match=r"(?i)authorization"):
            await connected(nats, "gateway", url)

    assert CONNECTION_TYPES == ("STANDARD",)


@pytest.fixture
async def nats_limited():
    async with secured_nats() as nats:
        yield nats
