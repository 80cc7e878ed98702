"""A nats-server that tests share, emptied between them."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import nats
from nats.aio.client import Client
from nats.js.errors import NotFoundError

POLL_SECONDS = 0.005
GONE_SECONDS = 30.0


class MessageServer(Protocol):
    """What tests may ask of a shared nats-server, be it a process or a container."""

    @property
    def url(self) -> str: ...

    @property
    def store(self) -> Path | None:
        """Where its streams lie; None: out of reach."""
        ...


async def wipe_jetstream(server: MessageServer) -> None:
    """Delete every stream, and with them all consumers, key-value and object stores.

    Returns when their files are gone too. The server renames a deleted stream's folder and removes
    it in the background. Deleted once more before that, the same name cannot be renamed, and is
    removed in the background as it is: together with the next stream of this name.
    """
    client: Client = await nats.connect(server.url)
    try:
        jetstream = client.jetstream()
        for stream in await jetstream.streams_info():
            assert stream.config.name is not None
            with suppress(NotFoundError):
                await jetstream.delete_stream(stream.config.name)
    finally:
        await client.close()
    if server.store is not None:
        async with asyncio.timeout(GONE_SECONDS):
            # Under its account's name, which depends on the server's users.
            while any(server.store.glob("jetstream/*/streams/*")):  # noqa: ASYNC110 (of another process)
                await asyncio.sleep(POLL_SECONDS)
