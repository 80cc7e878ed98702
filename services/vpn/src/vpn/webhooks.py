"""Answers apps and browsers that open a subscription link: `GET /sub/<token>[/<format>]`."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from aiohttp import web
from aiohttp.helpers import ETag

from chassis import logs, metrics
from chassis.callers import Caller, Proxies
from chassis.clock import Clock
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.http_edge import BUSY_SECONDS, EdgeLimits, HttpEdge, later
from chassis.rates import Buckets, Rate, Recent
from vpn.adapters.subscription_page.page import Page, Titles, Visit, content_security_policy
from vpn.domain.formats.clients import BY_PATH, Format, choose
from vpn.domain.formats.headers import headers
from vpn.domain.formats.render import render
from vpn.domain.links import TOKEN, LinkView, Shop
from vpn.ports.links import Links

log = logs.get("vpn.webhooks")
KEPT_ALIVE_SECONDS = 15.0
LOOKUP_SECONDS_MAX = 3.0
LINE_BYTES_MAX = 4_096
HEADERS_BYTES_MAX = 8_192
ABSENT_SECONDS = 60.0
"""A link that is not there is not looked up again so long: new ones are never old ones again."""
METHODS = ("GET", "HEAD")
ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
    "Server": "vitrine",
}
VARY: Final = "User-Agent, Accept, Accept-Language"
links_count = metrics.counter("vitrine.vpn.links", description="by format and status")


class Limits(NamedTuple):
    """How much one link, one client and everybody may ask."""

    token: Rate = Rate(per_second=0.5, burst=30)
    address: Rate = Rate(per_second=5.0, burst=100)
    unknown: Rate = Rate(per_second=0.05, burst=10)
    """Of one client, for links there are not."""
    suspicious: Rate = Rate(per_second=20.0, burst=100)
    """Looked up for all clients that guessed too often: behind an address of theirs may be others
    with a link that there is."""
    keys_max: int = 50_000
    requests_max: int = 256
    """Under way at once; a request more is told to come again."""


class SubscriptionLinks:
    """The server. Nothing of a request is logged: its path is a secret, its address a person's."""

    def __init__(
        self,
        links: Links,
        shop: Shop,
        *,
        clock: Clock,
        titles: Titles,
        host: str,
        port: int,
        limits: Limits | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._links = links
        self._shop = shop
        self._clock = clock
        self._page = Page(shop, titles)
        self._limits = limits or Limits()
        kept = self._limits.keys_max
        self._tokens = Buckets(self._limits.token, keys_max=kept)
        self._addresses = Buckets(self._limits.address, keys_max=kept)
        self._elsewhere = Buckets(self._limits.address, keys_max=kept)
        self._unknown = Buckets(self._limits.unknown, keys_max=kept)
        self._suspicious = Buckets(self._limits.suspicious, keys_max=1)
        self._absent = Recent(ABSENT_SECONDS, keys_max=kept)
        self.edge = HttpEdge(
            self._receive,
            name="subscription links",
            host=host,
            port=port,
            proxies=proxies,
            headers=ALWAYS,
            limits=EdgeLimits(
                body_bytes_max=1,
                line_bytes_max=LINE_BYTES_MAX,
                header_bytes_max=HEADERS_BYTES_MAX,
                kept_alive_seconds=KEPT_ALIVE_SECONDS,
                requests_max=self._limits.requests_max,
                # Counted here, by what is known of the link.
                address=None,
                strangers=None,
            ),
        )

    @property
    def port(self) -> int:
        return self.edge.port

    async def start(self) -> None:
        await self.edge.start()

    async def stop(self) -> None:
        """Finish the requests under way."""
        await self.edge.stop()

    async def _receive(self, request: web.Request, caller: Caller) -> web.Response:
        kind, response = await self._answer(request, caller.key)
        links_count.add(1, {"format": kind, "status": str(response.status)})
        return response

    async def _answer(self, request: web.Request, client: str) -> tuple[str, web.Response]:
        now = asyncio.get_running_loop().time()
        if request.method not in METHODS:
            wait = self._elsewhere.take(client, now)
            return "", later(wait) if wait else _no_method()
        asked = _asked(request.rel_url.raw_path)
        if asked is None:
            wait = self._elsewhere.take(client, now)
            return "", later(wait) if wait else _no_link()
        token, kind = asked
        known = token in self._tokens
        if known and (wait := self._of_a_link(token, client, now)):
            return "", later(wait)
        if not known and self._absent.holds(token, now):
            return "", self._guessed(client, now)
        # Somebody else's guesses must not close a link that there is: only the answers to guesses
        # are limited, and, for the database's sake, how many of such an address are looked up.
        guesses = not known and self._unknown.wait_seconds(client, now) > 0
        if guesses and (wait := self._suspicious.take("", now)):
            return "", later(wait, HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS_MAX):
                view = await self._links.by_token(token)
        except (TransientError, TimeoutError, *RETRYABLE) as error:
            log.warning("link_not_looked_up", reason=type(error).__name__)
            return "", later(BUSY_SECONDS, HTTPStatus.SERVICE_UNAVAILABLE)
        if view is None:
            self._tokens.forget(token)
            self._absent.add(token, now)
            return "", self._guessed(client, now)
        if not known and (wait := self._of_a_link(token, client, now)):
            return "", later(wait)
        chosen = choose(
            kind,
            request.headers.get("User-Agent", ""),
            request.headers.get("Accept", ""),
            xray_json=self._shop.xray_json,
        )
        assert chosen is not None, "kinds there are not were answered before"
        if chosen is Format.PAGE:
            return chosen, self._draw(request, token, view)
        return chosen, self._render(request, token, view, chosen)

    def _of_a_link(self, token: str, client: str, now: float) -> float:
        """How long to wait with a link that there is: it, or its client, was served too often."""
        return self._tokens.take(token, now) or self._addresses.take(client, now)

    def _guessed(self, client: str, now: float) -> web.Response:
        wait = self._unknown.take(client, now)
        return later(wait) if wait else _no_link()

    def _render(
        self, request: web.Request, token: str, view: LinkView, kind: Format
    ) -> web.Response:
        now = self._clock.now()
        body = render(kind, view, self._shop, now)
        said = dict(headers(view, self._shop, self._shop.link(token), now))
        # Over all that is seen, so that it changes with the nodes, the traffic and the words too.
        etag = _digest(body.text, said)
        said |= {"Cache-Control": "private, no-cache", "Vary": VARY}
        given = request.if_none_match or ()
        if any(each.value in ("*", etag) for each in given):
            response = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=said)
        else:
            response = web.Response(
                text=body.text, content_type=body.content_type, charset="utf-8", headers=said
            )
        response.etag = ETag(value=etag, is_weak=True)
        return response

    def _draw(self, request: web.Request, token: str, view: LinkView) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        visit = Visit(
            link=self._shop.link(token),
            user_agent=request.headers.get("User-Agent", ""),
            accept_language=request.headers.get("Accept-Language", ""),
            asked_language=request.query.get("lang", ""),
        )
        text = self._page.draw(view, visit, self._clock.now(), nonce=nonce)
        # Not kept by a browser: an older page's nonce would not fit the newer header.
        said = {
            "Cache-Control": "private, no-store",
            "Vary": VARY,
            "Content-Security-Policy": content_security_policy(nonce),
        }
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=said)


def _asked(path: str) -> tuple[str, str] | None:
    """Token and format of a path that could be a link's."""
    parts = path.split("/")
    if len(parts) not in (3, 4) or parts[:2] != ["", "sub"] or not TOKEN.fullmatch(parts[2]):
        return None
    kind = parts[3] if len(parts) == 4 else ""  # noqa: PLR2004 - the path's own parts
    return (parts[2], kind) if not kind or kind in BY_PATH else None


def _digest(text: str, said: Mapping[str, str]) -> str:
    seen = hashlib.blake2b(text.encode(), digest_size=12)
    for name, value in said.items():
        seen.update(f"\n{name}: {value}".encode())
    return seen.hexdigest()


def _no_link() -> web.Response:
    """The same whatever was wrong, so that nothing is learnt from it."""
    return web.Response(status=HTTPStatus.NOT_FOUND, headers={"Cache-Control": "no-store"})


def _no_method() -> web.Response:
    return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(METHODS)})
