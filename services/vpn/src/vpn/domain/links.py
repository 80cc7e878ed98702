"""What stands behind a subscription link: whose access, which nodes, and whether it passes now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from unicodedata import category
from uuid import UUID

from contracts.vpn import STATE_ENDED, STATE_GRACE, STATE_SUSPENDED

NETWORKS: Final = ("tcp", "ws", "grpc", "xhttp")
SECURITIES: Final = ("none", "tls", "reality")
VISION: Final = "xtls-rprx-vision"
GRPC_MODES: Final = ("", "gun", "multi")
SHORT_ID: Final = re.compile(r"(?:[0-9a-f]{2}){0,8}")
PORT_MAX: Final = 65_535
_DAY: Final = timedelta(days=1)
BREAKING: Final = ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of characters that end a line somewhere, or that not every reader takes."""
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,64}")

REASON_EXPIRED: Final = "expired"
REASON_SUSPENDED: Final = "suspended"
REASON_TRAFFIC: Final = "traffic"
REASON_NO_NODES: Final = "no_nodes"
REASON_APP: Final = "app"
"""The app asking cannot use any node there is."""
REASONS: Final = (
    REASON_EXPIRED,
    REASON_SUSPENDED,
    REASON_TRAFFIC,
    REASON_NO_NODES,
    REASON_APP,
)
NOTE_GRACE: Final = "grace"
NOTE_DEVICES: Final = "devices"
NOTES: Final = (NOTE_GRACE, NOTE_DEVICES)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLink:
    """How an app reaches one node. `region`: nl or us-east are shown as a flag."""

    name: str
    region: str
    address: str
    port: int
    network: str = "tcp"
    security: str = "none"
    flow: str = ""
    sni: str = ""
    fp: str = ""
    alpn: tuple[str, ...] = ()
    pbk: str = ""
    sid: str = ""
    spx: str = ""
    path: str = ""
    host: str = ""
    service_name: str = ""
    mode: str = ""
    authority: str = ""
    extra: str = ""
    """More of XHTTP, a JSON object as text."""

    def problems(self) -> Iterator[str]:
        """What makes a node unusable; to be asked when a node is registered, not for each link."""
        if not self.name or not self.address or not 0 < self.port <= PORT_MAX:
            yield "a node has a name, an address and a port"
        if self.network not in NETWORKS:
            yield f"network {self.network!r} is none of {', '.join(NETWORKS)}"
        if self.security not in SECURITIES:
            yield f"security {self.security!r} is none of {', '.join(SECURITIES)}"
        if self.flow and (self.flow != VISION or not self.takes_flow):
            yield f"flow is {VISION}, over tcp with tls or reality"
        if self.security == "reality" and not (self.pbk and self.sni):
            yield "reality needs pbk and sni"
        if not SHORT_ID.fullmatch(self.sid):
            yield "sid is up to 16 hex digits, an even number of them"
        if self.network == "grpc" and (not self.service_name or self.mode not in GRPC_MODES):
            yield "grpc needs service_name, and mode is gun or multi"
        texts = (self.name, self.address, self.sni, self.path, self.host, self.spx, *self.alpn)
        if any(category(each) in BREAKING for text in texts for each in text):
            yield "a text holds a control character"

    @property
    def takes_flow(self) -> bool:
        return self.network == "tcp" and self.security != "none"

    @property
    def used_flow(self) -> str:
        return self.flow if self.takes_flow else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """All that a link shows. `state`: contracts.vpn STATE_*; an ended one has no link any more."""

    state: str
    plan_title_key: str
    """What the page calls the plan, a key of its titles."""
    until: datetime
    key: UUID
    nodes: tuple[NodeLink, ...]
    grace_until: datetime | None = None
    """Until when nodes let it pass, where that is past `until`."""
    language: str = "en"
    upload_bytes: int = 0
    download_bytes: int = 0
    limit_bytes: int = 0
    """Of this period; 0: no limit."""
    devices: int = 0
    """How many may be connected at once; 0: any number."""
    devices_over: bool = False
    """More were, for longer than the grace for changing networks: told, and no more than that."""
    refill_at: datetime | None = None
    """When used traffic is counted from nothing again, at the latest."""
    support_url: str = ""
    """Instead of the shop's own."""

    @property
    def used_bytes(self) -> int:
        return self.upload_bytes + self.download_bytes

    def passes_until(self) -> datetime:
        return max(self.until, self.grace_until or self.until)

    def days_left(self, now: datetime) -> int:
        """Begun days count as whole ones."""
        return max(0, -((now - self.until) // _DAY))

    def reason(self, now: datetime) -> str:
        """Why nothing passes now (REASON_*); empty: it does.

        By the clock too, because nodes drop a key by theirs and the sweep comes a minute later.
        """
        if now >= self.passes_until():
            return REASON_EXPIRED
        if self.limit_bytes and self.used_bytes >= self.limit_bytes:
            return REASON_TRAFFIC
        if self.state in (STATE_SUSPENDED, STATE_ENDED):
            return REASON_SUSPENDED if now < self.until else REASON_EXPIRED
        return "" if self.nodes else REASON_NO_NODES

    def note(self, now: datetime) -> str:
        """What to say beside a list that works (NOTE_*); empty: nothing."""
        if now >= self.until or self.state == STATE_GRACE:
            return NOTE_GRACE
        return NOTE_DEVICES if self.devices_over else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What every link says of the shop."""

    title: str
    base_url: str
    """Where people reach this service, without a slash at its end."""
    support_url: str = ""
    announce: str = ""
    update_hours: int = 12
    xray_json: bool = False
    """Apps that can are given whole Xray configurations instead of links."""

    def link(self, token: str) -> str:
        return f"{self.base_url}/sub/{token}"


def flag(region: str) -> str:
    """The region's country, or EU, as a flag emoji; of a region named otherwise nothing."""
    letters = region.partition("-")[0].upper()
    if len(letters) != 2 or not (letters.isascii() and letters.isalpha()):  # noqa: PLR2004 - ISO 3166 alpha-2
        return ""
    return "".join(chr(0x1F1E6 + ord(each) - ord("A")) for each in letters)
