"""What the clients of providers share: calls with JSON, and how to read what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import msgspec

from billing.domain.errors import InvalidError
from billing.ports.payments import (
    ProviderAwayError,
    ProviderEvent,
    ProviderRefusedError,
    ProviderUnclearError,
    TokenRefusedError,
)
from chassis import logs
from chassis.secrets import Secret
from contracts.ids import PaymentId

Json = dict[str, Any]
Network = IPv4Network | IPv6Network
T = TypeVar("T")

log = logs.get("billing.providers")
TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5, sock_read=10)
ASKED_AT_ONCE = 8
REF_SHOWN = 64
PAGE = "100"
PAGES_MAX = 200
STATUS_OK = 200
STATUS_TOKEN = 401
NOT_UNDERSTOOD = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    InvalidError,
)
"""What reading a thing of another form ends with: a provider, or who has its key, may send any."""
REFUSED = frozenset({400, 403, 404, 405, 409, 415, 422})
"""A definite no. Anything else leaves open whether it happened."""


class JsonCaller:
    """Calls a REST API and says what its answer means for money."""

    def __init__(self, base_url: str, login: str, password: str | Secret) -> None:
        self._base_url = base_url.rstrip("/")
        self._login = login
        self._password = password
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self, verb: str, path: str, *, headers: Mapping[str, str] | None = None, **sent: Any
    ) -> Json:
        """Raises what PaymentProvider says; ProviderRefusedError has the API's own code."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        url = self._base_url + path
        try:
            async with self._session.request(
                verb, url, headers={**self._authorization(), **(headers or {})}, **sent
            ) as response:
                status, body = response.status, await response.read()
            answer = msgspec.json.decode(body, type=Json)
        except aiohttp.ClientConnectorError:
            raise ProviderAwayError(verb) from None
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            # Not the error's own text: it may name the address with its secrets.
            raise ProviderUnclearError(f"{verb}: {type(error).__name__}") from None
        if status == STATUS_OK:
            return answer
        if status == STATUS_TOKEN:
            raise TokenRefusedError(verb)
        if status in REFUSED:
            raise ProviderRefusedError(str(answer.get("code", status)))
        raise ProviderUnclearError(f"{verb}: {status}")

    def _authorization(self) -> dict[str, str]:
        """Made for each call: the password may have changed since the last."""
        password = self._password if isinstance(self._password, str) else self._password()
        return {"Authorization": aiohttp.encode_basic_auth(self._login, password)}

    async def pages(self, path: str, query: Mapping[str, str]) -> tuple[list[Json], bool]:
        """A list page by page, the newest first, and whether that is all of it."""
        items: list[Json] = []
        asked = {**query, "limit": PAGE}
        for _ in range(PAGES_MAX):
            page = await self.call("GET", path, params=asked)
            items += page["items"]
            if "next_cursor" not in page:
                return items, True
            asked["cursor"] = page["next_cursor"]
        return items, False

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def ask_each(refs: Sequence[str], ask: Callable[[str], Awaitable[T]]) -> list[T]:
    """The answers about all of them, a few at once."""
    found: list[T] = []
    for start in range(0, len(refs), ASKED_AT_ONCE):
        found += await asyncio.gather(*map(ask, refs[start : start + ASKED_AT_ONCE]))
    return found


def understood(
    items: Iterable[Json], tell: Callable[[Json], Iterable[ProviderEvent]]
) -> list[ProviderEvent]:
    """What they say; one that is none of ours in its form must not stop the others."""
    events: list[ProviderEvent] = []
    for item in items:
        try:
            events += tell(item)
        except NOT_UNDERSTOOD:
            ref = str(item.get("id", ""))[:REF_SHOWN] if isinstance(item, dict) else ""
            log.warning("invoice_not_understood", ref=ref)
    return events


def networks(text: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, text.split()))


def is_from(remote_ip: str, allowed: Iterable[Network]) -> bool:
    try:
        address = ip_address(remote_ip)
    except ValueError:
        return False
    return any(address in network for network in allowed)


def payment_id(text: Any) -> PaymentId | None:
    """None: it is no id of ours."""
    try:
        return PaymentId(UUID(text)) if isinstance(text, str) else None
    except ValueError:
        return None


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
