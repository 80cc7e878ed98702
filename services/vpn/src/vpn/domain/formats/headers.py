"""What a link says beside its list: title, traffic, end, where to get help."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from vpn.domain.formats.words import say
from vpn.domain.links import LinkView, Shop


def headers(view: LinkView, shop: Shop, link: str, now: datetime) -> Iterator[tuple[str, str]]:
    """Names in lower case: more than one app compares them so."""
    name = quote(shop.title, safe="")
    ascii_name = "".join(each for each in shop.title if each.isascii() and each.isalnum()) or "vpn"
    yield "content-disposition", f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{name}"
    yield "profile-title", _encoded(shop.title)
    yield "profile-update-interval", str(shop.update_hours)
    yield "subscription-userinfo", userinfo(view)
    yield "profile-web-page-url", link
    if support := view.support_url or shop.support_url:
        yield "support-url", support
    if announce := _announce(view, shop, now):
        yield "announce", _encoded(announce)
    if view.refill_at is not None:
        yield "subscription-refill-date", str(int(view.refill_at.timestamp()))
    if view.devices:
        # No more of these: apps take the others for a refusal, and the limit is a soft one.
        yield "x-hwid-active", "true"


def userinfo(view: LinkView) -> str:
    return (
        f"upload={view.upload_bytes}; download={view.download_bytes}; "
        f"total={view.limit_bytes}; expire={int(view.until.timestamp())}"
    )


def _announce(view: LinkView, shop: Shop, now: datetime) -> str:
    if told := view.reason(now) or view.note(now):
        return say(told, view.language)
    return shop.announce


def _encoded(text: str) -> str:
    return f"base64:{base64.b64encode(text.encode()).decode()}"
