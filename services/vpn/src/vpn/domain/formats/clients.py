"""Which format an app is given: by the path it asked for, else by what it calls itself."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class Format(StrEnum):
    """Named as in the path of a link."""

    BASE64 = "base64"
    LINKS = "links"
    CLASH_META = "clash-meta"
    STASH = "stash"
    CLASH = "clash"
    SING_BOX = "sing-box"
    XRAY = "xray"
    PAGE = "html"


BY_PATH: Final = {
    **{each.value: each for each in Format},
    "v2ray": Format.BASE64,
    "plain": Format.LINKS,
    "mihomo": Format.CLASH_META,
    "singbox": Format.SING_BOX,
    "v2ray-json": Format.XRAY,
}

_PATTERNS: Final = (
    # HiddifyNext and Stash name Clash further on: what comes first counts.
    (Format.SING_BOX, r"(?:SF[AIMT]|sing-box|Karing|Hiddify(?:Next)?)\b"),
    (Format.STASH, r"Stash\b"),
    (
        Format.CLASH_META,
        r"(?:clash-(?:verge|nyanpasu)|Clash[. -]?Meta|ClashX[. ]?Meta|FlClash|.*\bmihomo\b)",
    ),
    (Format.CLASH, r"Clash"),
)
_CLIENTS: Final = tuple((kind, re.compile(text, re.IGNORECASE)) for kind, text in _PATTERNS)

_XRAY: Final = {
    "v2rayn": (6, 40),
    "v2rayng": (1, 8, 29),
    "happ": (1, 63, 1),
    "streisand": (0,),
}
"""From which version an app takes whole Xray configurations."""
_VERSIONED: Final = re.compile(
    r"(v2rayNG?|Happ|Streisand)\b(?:[/ ]v?(\d+(?:\.\d+)*))?", re.IGNORECASE
)
_KNOWN_FOR_LINKS: Final = re.compile(
    r"(?:v2ray|Happ|Streisand|Shadowrocket|NekoBox|nekoray|Throne|FoXray|V2Box|INCY|okhttp|curl"
    r"|Go-http-client)",
    re.IGNORECASE,
)
USER_AGENT_LENGTH_MAX: Final = 256


def choose(kind: str, user_agent: str, accept: str, *, xray_json: bool) -> Format | None:
    """The format asked for; None: there is none of that name."""
    if kind:
        return BY_PATH.get(kind)
    agent = user_agent[:USER_AGENT_LENGTH_MAX].strip()
    for found, pattern in _CLIENTS:
        if pattern.match(agent):
            return found
    if xray_json and _takes_xray(agent):
        return Format.XRAY
    if "text/html" in accept.lower() and not _KNOWN_FOR_LINKS.match(agent):
        return Format.PAGE
    return Format.BASE64


def _takes_xray(agent: str) -> bool:
    match = _VERSIONED.match(agent)
    if match is None:
        return False
    version = tuple(int(each) for each in (match[2] or "0").split("."))
    return version >= _XRAY[match[1].lower()]
