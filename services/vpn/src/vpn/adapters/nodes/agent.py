"""A node reached through its agent: JSON over HTTPS with certificates on both sides."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import aiohttp
import msgspec

from chassis import logs
from chassis.clock import Clock
from vpn import node_api
from vpn.adapters.nodes.tls import Stamp, TlsFiles
from vpn.domain.desired import Entry
from vpn.ports.nodes import (
    Change,
    NodeMalformedError,
    NodeRefusedError,
    NodeUnreachableError,
)

log = logs.get("vpn.nodes.agent")
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
WRITE_SECONDS = 5.0
POOL_SECONDS = 5.0
SET_READ_SECONDS = 60.0
"""A whole set is applied before it is answered: 100,000 people take half a minute."""
CONNECTIONS_MAX = 4
KEEPALIVE_SECONDS = 60.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
CERTIFICATE_CHECK_SECONDS = 1.0
_UNREACHABLE_STATUS = 500
_NOT_SAVED_STATUS = 507
"""It answers, and says that its disk takes nothing: trouble, but no silence."""
Answer = TypeVar("Answer")


class AgentNode:
    """One node's driver. The node proves its name, whatever address it is reached at."""

    def __init__(self, name: str, url: str, files: TlsFiles, clock: Clock) -> None:
        self.name = name
        self._url = url.rstrip("/")
        self._files = files
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None
        self._stamp: Stamp = ()
        self._certificate_until: datetime | None = None
        self._looked_at = 0.0

    async def state(self) -> node_api.State:
        """How it is; of its certificate and ours, by which we come, the earlier end counts."""
        state = await self._get(node_api.STATE, node_api.State)
        ends = (state.certificate_until, self._certificate_until)
        first = min((end for end in ends if end is not None), default=None)
        return msgspec.structs.replace(state, certificate_until=first)

    async def put_set(
        self, generation: int, entries: Sequence[Entry], *, cut: bool = True
    ) -> node_api.Applied:
        body = node_api.SetRequest(generation, self._clock.now(), list(entries), cut)
        return await self._send("PUT", node_api.SET, body, SET_READ_SECONDS)

    async def change(self, change: Change) -> node_api.Applied:
        body = node_api.ChangesRequest(
            generation=change.generation,
            base_generation=change.base_generation,
            base_hash=change.base_hash,
            now=self._clock.now(),
            put=list(change.put),
            remove=list(change.remove),
            cut=change.cut,
        )
        return await self._send("POST", node_api.CHANGES, body, READ_SECONDS)

    async def users(self) -> node_api.Users | None:
        return await self._get(node_api.USERS, node_api.Users)

    async def traffic(self, after: str = "") -> node_api.TrafficPage | None:
        return await self._get(node_api.TRAFFIC, node_api.TrafficPage, after=after)

    async def online(self) -> dict[str, int]:
        return (await self._get(node_api.ONLINE, node_api.Online)).counts

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _get(self, path: str, kind: type[Answer], **query: str) -> Answer:
        return await self._ask("GET", path, None, READ_SECONDS, kind, query)

    async def _send(
        self, method: str, path: str, body: msgspec.Struct, read_seconds: float
    ) -> node_api.Applied:
        data = msgspec.json.encode(body)
        return await self._ask(method, path, data, read_seconds, node_api.Applied, {})

    async def _ask(
        self,
        method: str,
        path: str,
        data: bytes | None,
        read_seconds: float,
        kind: type[Answer],
        query: dict[str, str],
    ) -> Answer:
        timeout = aiohttp.ClientTimeout(
            total=POOL_SECONDS + CONNECT_SECONDS + WRITE_SECONDS + read_seconds,
            connect=POOL_SECONDS + CONNECT_SECONDS,
            sock_connect=CONNECT_SECONDS,
            sock_read=read_seconds,
        )
        try:
            async with self._opened().request(
                method,
                self._url + path,
                params=query,
                data=data,
                headers={
                    node_api.NOW_HEADER: self._clock.now().isoformat(),
                    "Content-Type": "application/json",
                },
                timeout=timeout,
                ssl=self._tls(),
                server_hostname=node_api.node_name(self.name),
                allow_redirects=False,
            ) as response:
                answer = await _body(response)
                status = response.status
        except (aiohttp.ClientError, ssl.SSLError, OSError, TimeoutError) as error:
            raise NodeUnreachableError(f"{self.name}: {_why(error)}") from error
        return self._understood(status, answer, kind)

    def _understood(self, status: int, answer: bytes, kind: type[Answer]) -> Answer:
        try:
            if status == 200:  # noqa: PLR2004 - the one status of success
                return msgspec.json.decode(answer, type=kind)
            refused = msgspec.json.decode(answer, type=node_api.Refused)
        except msgspec.MsgspecError as error:
            # A proxy's page of trouble is no answer of the node; what calls itself success is.
            kinds = NodeMalformedError if status == 200 else NodeUnreachableError  # noqa: PLR2004
            raise kinds(f"{self.name}: {status} with {error}") from error
        if status >= _UNREACHABLE_STATUS and status != _NOT_SAVED_STATUS:
            raise NodeUnreachableError(f"{self.name}: {refused.code}: {refused.message}")
        raise NodeRefusedError(
            refused.code,
            f"{self.name}: {refused.message}",
            generation=refused.generation,
            hash=refused.hash,
        )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE_SECONDS
                ),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _tls(self) -> ssl.SSLContext:
        """Return today's certificates: looked at once a second, kept while the new do not fit."""
        now = asyncio.get_running_loop().time()
        if self._context is not None and now - self._looked_at < CERTIFICATE_CHECK_SECONDS:
            return self._context
        self._looked_at = now
        try:
            stamp = self._files.stamp()
            if self._context is None or stamp != self._stamp:
                self._context = self._files.client_context()
                self._certificate_until = self._end_of_ours()
                self._stamp = stamp
        except OSError as error:  # ssl.SSLError is one too
            if self._context is None:
                raise NodeUnreachableError(f"{self.name}: certificates: {error}") from error
            log.warning("certificate_not_reloaded", node=self.name, why=str(error))
        return self._context

    def _end_of_ours(self) -> datetime | None:
        """Return None where only TLS can read it: it accepts spellings that we do not."""
        try:
            return self._files.certificate_until()
        except ValueError as error:
            log.warning("certificate_end_unknown", node=self.name, why=str(error))
            return None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
