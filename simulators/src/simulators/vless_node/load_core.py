"""A core of gRPC alone: it lets nobody pass, holds hundreds of thousands, and fails to order.

It speaks the wire of Xray (lists users, both service names) or of v2ray 4 (cannot list).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc
import grpc.aio

from simulators.ports import free_port
from simulators.vless_node import wire

XRAY, V2RAY = "xray", "v2ray"
_PREFIXES = {XRAY: ("xray.", "v2ray.core."), V2RAY: ("v2ray.core.",)}
_TYPES = {XRAY: "xray.", V2RAY: "v2ray.core."}
Answer = Callable[[bytes, Any], Awaitable[bytes]]


@dataclass
class Faults:
    """Switches of a test; each says how the core misbehaves from now on."""

    errors: bool = False
    """Every change is answered with an error nobody knows."""
    error_emails: set[str] = field(default_factory=set)
    """Only changes of these are."""
    hang: bool = False
    """Nothing is answered any more."""
    forget_changes: bool = False
    """Changes are answered with success and not made."""
    empty_list: bool = False
    """Whoever asks for the list is given an empty one."""
    list_errors: bool = False
    """Whoever asks for the list is refused."""
    hide_emails: set[str] = field(default_factory=set)
    """These are missing from the list, though they pass."""
    in_next_change: Callable[[], None] | None = None
    """Happens once, while the next change is being asked for."""
    foreign: dict[str, UUID] = field(default_factory=dict)
    """These are on the list and pass, though nobody added them through us."""


@dataclass
class Calls:
    """How often the core was asked what."""

    adds: int = 0
    removes: int = 0
    lists: int = 0


class LoadCore:
    """One core. `users` is whom it would let pass."""

    def __init__(self, kind: str = XRAY, *, tag: str = "vless", port: int = 0) -> None:
        self.kind = kind
        self.tag = tag
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.users: dict[str, tuple[str, str]] = {}
        self.traffic: dict[str, tuple[int, int]] = {}
        self.faults = Faults()
        self.calls = Calls()
        self._server: grpc.aio.Server | None = None
        self._started_at = time.monotonic()

    async def start(self) -> None:
        self._started_at = time.monotonic()
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers((_Router(self._routes()),))
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def restart(self) -> None:
        """End and begin anew: everybody added through gRPC is forgotten, and so are counters."""
        await self.stop()
        self.users.clear()
        self.traffic.clear()
        await self.start()

    def age(self, seconds: float) -> None:
        """Have it so much longer behind it."""
        self._started_at -= seconds

    def passes(self, email: str, key: UUID) -> bool:
        """Whether this key passes under this email."""
        return (
            self.users.get(email, ("", ""))[0] == str(key) or self.faults.foreign.get(email) == key
        )

    def _routes(self) -> dict[str, Answer]:
        routes: dict[str, Answer] = {}
        for prefix in _PREFIXES[self.kind]:
            handler = f"/{prefix}app.proxyman.command.HandlerService"
            routes[f"{handler}/AlterInbound"] = self._alter
            if self.kind == XRAY:
                routes[f"{handler}/GetInboundUsers"] = self._list
        stats = f"/{_TYPES[self.kind]}app.stats.command.StatsService"
        routes[f"{stats}/QueryStats"] = self._query
        routes[f"{stats}/GetSysStats"] = self._sys
        return routes

    async def _alter(self, request: bytes, context: Any) -> bytes:
        await self._maybe_hang()
        if (happens := self.faults.in_next_change) is not None:
            self.faults.in_next_change = None
            happens()
        if wire.first(request, 1).decode() != self.tag:
            await self._unknown(context, "failed to get handler")
        operation = wire.first(request, 2)
        kind = wire.first(operation, 1).decode()
        body = wire.first(operation, 2)
        prefix = _TYPES[self.kind] + "app.proxyman.command."
        if kind == prefix + "AddUserOperation":
            await self._add(wire.first(body, 1), context)
        elif kind == prefix + "RemoveUserOperation":
            await self._remove(wire.first(body, 1).decode(), context)
        else:
            await self._unknown(context, f"unknown operation {kind}")
        return b""

    async def _add(self, user: bytes, context: Any) -> None:
        self.calls.adds += 1
        email = wire.first(user, 2).decode().lower()
        account = wire.first(user, 3)
        if wire.first(account, 1).decode() != _TYPES[self.kind] + "proxy.vless.Account":
            await self._unknown(context, "failed to parse user")
        await self._maybe_fail(email, context)
        if self.faults.forget_changes:
            return
        if email in self.users or email in self.faults.foreign:
            await self._unknown(context, f"proxy/vless: User {email} already exists.")
        value = wire.first(account, 2)
        self.users[email] = (wire.first(value, 1).decode(), wire.first(value, 2).decode())

    async def _remove(self, email: str, context: Any) -> None:
        self.calls.removes += 1
        await self._maybe_fail(email, context)
        if self.faults.forget_changes:
            return
        mine = self.users.pop(email.lower(), None)
        foreign = self.faults.foreign.pop(email.lower(), None)
        if mine is None and foreign is None:
            await self._unknown(context, f"proxy/vless: User {email} not found.")

    async def _list(self, request: bytes, context: Any) -> bytes:
        await self._maybe_hang()
        self.calls.lists += 1
        if self.faults.list_errors:
            await self._unknown(context, "no list today")
        if self.faults.empty_list:
            return b""
        wanted = wire.first(request, 2).decode().lower()
        kind = _TYPES[self.kind] + "proxy.vless.Account"
        held = {
            **self.users,
            **{email: (str(key), "") for email, key in self.faults.foreign.items()},
        }
        if wanted:
            held = {wanted: held[wanted]} if wanted in held else {}
        return b"".join(
            wire.text(1, wire.user(email, kind, key, flow))
            for email, (key, flow) in held.items()
            if email not in self.faults.hide_emails
        )

    async def _query(self, request: bytes, _context: Any) -> bytes:
        await self._maybe_hang()
        pattern = wire.first(request, 1).decode()
        out = []
        for email, (up, down) in self.traffic.items():
            for link, value in (("uplink", up), ("downlink", down)):
                name = f"user>>>{email}>>>traffic>>>{link}"
                if pattern in name:
                    out.append(wire.text(1, wire.stat(name, value)))
        if wire.flag(request, 2):
            self.traffic.clear()
        return b"".join(out)

    async def _sys(self, _request: bytes, _context: Any) -> bytes:
        await self._maybe_hang()
        return wire.number(10, int(time.monotonic() - self._started_at))

    async def _maybe_hang(self) -> None:
        while self.faults.hang:  # noqa: ASYNC110 - a switch that tests set as a plain field
            await asyncio.sleep(0.02)

    async def _maybe_fail(self, email: str, context: Any) -> None:
        if self.faults.errors or email in self.faults.error_emails:
            await self._unknown(context, "something nobody has heard of")

    @staticmethod
    async def _unknown(context: Any, sentence: str) -> None:
        await context.abort(grpc.StatusCode.UNKNOWN, sentence)


class _Router(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
    def __init__(self, routes: dict[str, Answer]) -> None:
        self._handlers: dict[str, Any] = {
            path: grpc.unary_unary_rpc_method_handler(answer)  # type: ignore[arg-type, unused-ignore]
            for path, answer in routes.items()
        }

    def service(self, details: Any) -> Any:
        return self._handlers.get(details.method)
