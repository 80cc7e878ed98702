"""What a link says beside its list: title, traffic, end, where to get help."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from contracts.vpn import STATE_GRACE
from vpn.domain.formats.words import GRACE, say
from vpn.domain.links import REASON_DEVICES, LinkView, Shop


def headers(
    view: LinkView, shop: Shop, link: str, now: datetime, *, names_device: bool
) -> Iterator[tuple[str, str]]:
    """Names in lower case: more than one app compares them so. `names_device`: x-hwid was sent."""
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
    yield from _devices(view, now, names_device=names_device)


def userinfo(view: LinkView) -> str:
    return (
        f"upload={view.upload_bytes}; download={view.download_bytes}; "
        f"total={view.limit_bytes}; expire={int(view.until.timestamp())}"
    )


def _announce(view: LinkView, shop: Shop, now: datetime) -> str:
    if reason := view.reason(now):
        return say(reason, view.language)
    if now >= view.until or view.state == STATE_GRACE:
        return say(GRACE, view.language)
    return shop.announce


def _devices(view: LinkView, now: datetime, *, names_device: bool) -> Iterator[tuple[str, str]]:
    """Devices are counted by their connections, for what an app says of itself can be forged.

    So an app that does not name its device is only told so when that is what stops it: apps take
    the last three for a refusal.
    """
    if not view.devices:
        return
    yield "x-hwid-active", "true"
    if view.reason(now) != REASON_DEVICES:
        return
    yield "x-hwid-limit", "true"
    yield "x-hwid-max-devices-reached", "true"
    if not names_device:
        yield "x-hwid-not-supported", "true"


def _encoded(text: str) -> str:
    return f"base64:{base64.b64encode(text.encode()).decode()}"
