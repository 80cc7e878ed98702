"""One core's gRPC interface: add, remove, list, count. Speaks to Xray and to v2ray 4."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import grpc
import grpc.aio
import msgspec

from vpn.adapters.core import corewire_pb2 as wire
from vpn.adapters.core.errors import CoreRefusedError, UnsupportedError, translated
from vpn.adapters.core.requests import Requests

XRAY = "xray"
V2RAY = "v2ray"
_PREFIXES = {XRAY: "xray.", V2RAY: "v2ray.core."}
_HANDLER = "app.proxyman.command.HandlerService"
_STATS = "app.stats.command.StatsService"
CALL_TIMEOUT_SECONDS = 5.0
LIST_TIMEOUT_SECONDS = 30.0
# A list of 100,000 users has some 15 MB; the library's own limit is 4.
_OPTIONS = (
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 250),
)
Call = Callable[..., Any]
Reply = TypeVar("Reply")


class CoreUser(msgspec.Struct, frozen=True):
    """A user as the core holds it."""

    email: str
    key: UUID
    flow: str = ""


class Counters(msgspec.Struct, frozen=True):
    """Bytes since the core started."""

    up_bytes: int = 0
    down_bytes: int = 0


class CoreClient:
    """Speaks to one core. `kind` is known after `probe`, which every other call needs."""

    def __init__(self, address: str, inbound_tag: str) -> None:
        self.address = address
        self.inbound_tag = inbound_tag
        self.kind = ""
        self.lists_users = False
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._alter: Call | None = None
        self._requests: Requests | None = None

    async def close(self) -> None:
        await self._channel.close(None)

    async def until_disconnected(self) -> None:
        """Return once the connection is lost, or at once if there is none."""
        ready = grpc.ChannelConnectivity.READY
        if self._channel.get_state() is ready:
            await self._channel.wait_for_state_change(ready)

    async def probe(self) -> int:
        """Find out what core this is and what it can do; return its uptime in seconds."""
        uptime = None
        for kind in (XRAY, V2RAY):
            try:
                uptime = await self._uptime_of(kind)
            except UnsupportedError:
                continue
            self._speak(kind)
            break
        if uptime is None:
            raise UnsupportedError(f"{self.address} is neither Xray nor v2ray, or has no stats")
        self.lists_users = await self._can_list()
        return uptime

    def _speak(self, kind: str) -> None:
        prefix = _PREFIXES[kind]
        self.kind = kind
        self._requests = Requests(prefix, self.inbound_tag)
        # Serialised by hand: the hottest call of a full re-sync.
        self._alter = self._channel.unary_unary(f"/{prefix}{_HANDLER}/AlterInbound")

    async def uptime(self) -> int:
        """Return the seconds since the core started."""
        return await self._uptime_of(self.kind)

    async def _uptime_of(self, kind: str) -> int:
        reply = await self._ask(kind, _STATS, "GetSysStats", wire.Empty(), wire.SysStatsResponse)
        return int(reply.uptime)

    async def _can_list(self) -> bool:
        # An email that cannot exist: a known core answers with an empty list or an error.
        request = wire.GetInboundUserRequest(tag=self.inbound_tag, email="-")
        try:
            await self._ask(
                self.kind, _HANDLER, "GetInboundUsers", request, wire.GetInboundUserResponse
            )
        except UnsupportedError:
            return False
        except CoreRefusedError:
            return True
        return True

    def add(self, email: str, key: UUID, flow: str = "") -> Awaitable[None]:
        """Let a key pass. UserExistsError: the email is there already."""
        assert self._requests is not None, "probe first"
        return self._alter_inbound(self._requests.add(email, key, flow))

    def remove(self, email: str) -> Awaitable[None]:
        """Let an email pass no more. UserMissingError: it is not there."""
        assert self._requests is not None, "probe first"
        return self._alter_inbound(self._requests.remove(email))

    async def _alter_inbound(self, request: bytes) -> None:
        assert self._alter is not None, "probe first"
        try:
            await self._alter(request, timeout=CALL_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error

    async def users(self) -> list[CoreUser]:
        """Return everybody the inbound lets pass. UnsupportedError: this core cannot list."""
        if not self.lists_users:
            raise UnsupportedError(f"{self.kind} cannot list users")
        reply = await self._ask(
            self.kind,
            _HANDLER,
            "GetInboundUsers",
            wire.GetInboundUserRequest(tag=self.inbound_tag),
            wire.GetInboundUserResponse,
            timeout=LIST_TIMEOUT_SECONDS,
        )
        return [_user(one) for one in reply.users]

    async def find(self, email: str) -> CoreUser | None:
        """Return one user; None also when this core cannot say."""
        if not self.lists_users:
            return None
        request = wire.GetInboundUserRequest(tag=self.inbound_tag, email=email)
        try:
            reply = await self._ask(
                self.kind, _HANDLER, "GetInboundUsers", request, wire.GetInboundUserResponse
            )
        except CoreRefusedError:
            return None
        return next((_user(one) for one in reply.users if one.email == email), None)

    async def traffic(self) -> dict[str, Counters]:
        """Return every user's counters by email, absolute since the core's start."""
        stats = await self._query("user>>>")
        found: dict[str, list[int]] = {}
        for name, value in stats.items():
            parts = name.split(">>>")
            if len(parts) == 4 and parts[2] == "traffic":  # noqa: PLR2004 - user>>>email>>>traffic>>>link
                pair = found.setdefault(parts[1], [0, 0])
                pair[parts[3] == "downlink"] = value
        return {email: Counters(up, down) for email, (up, down) in found.items()}

    async def _query(self, pattern: str) -> dict[str, int]:
        reply = await self._ask(
            self.kind,
            _STATS,
            "QueryStats",
            wire.QueryStatsRequest(pattern=pattern),
            wire.QueryStatsResponse,
            timeout=LIST_TIMEOUT_SECONDS,
        )
        return {one.name: one.value for one in reply.stat}

    async def _ask(
        self,
        kind: str,
        service: str,
        method: str,
        request: Any,
        reply: type[Reply],
        *,
        timeout: float = CALL_TIMEOUT_SECONDS,
    ) -> Reply:
        call: Call = self._channel.unary_unary(f"/{_PREFIXES[kind]}{service}/{method}")
        try:
            raw = await call(request.SerializeToString(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error
        parsed: Reply = reply.FromString(raw)  # type: ignore[attr-defined]
        return parsed


def _user(raw: Any) -> CoreUser:
    account = wire.VlessAccount.FromString(raw.account.value)
    return CoreUser(raw.email, UUID(account.id), account.flow)
