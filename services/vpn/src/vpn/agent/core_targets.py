"""Where people may not go through the core: its own API, and the node's private surroundings."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Any

BLOCKED_TAG = "vitrine-blocked"
_PRIVATE_V4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_PRIVATE_V6 = (
    "::/96",  # unspecified, loopback and IPv4-compatible; the core turns ::ffff:0:0/96 into IPv4
    "64:ff9b:1::/48",
    "100::/64",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)


def _through_nat64(network: str) -> str:
    inner = IPv4Network(network)
    base = int(IPv6Network("64:ff9b::/96").network_address)
    return str(IPv6Network((base + int(inner.network_address), 96 + inner.prefixlen)))


PRIVATE = [*_PRIVATE_V4, *_PRIVATE_V6, *map(_through_nat64, _PRIVATE_V4)]
LOCAL_NAMES = [
    r"regexp:^[^.]*\.?$",  # localhost, the node's own name, and addresses as one number
    r"regexp:(?i)(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$",  # addresses in forms the core does not parse
    r"regexp:[:%\[\]]",
    r"regexp:(?i)(^|\.)(localhost|localdomain|local|internal|lan|home\.arpa)\.?$",
]
"""Names that only the node's own resolver knows: they are not left to any answer."""
ANY_NAME = ["regexp:.*"]


def guard(config: dict[str, Any], api_port: int, *, allow_private: bool) -> None:
    """Put the rules that refuse before all others, for whatever comes in by any inbound.

    Only for what comes in: the core's own questions to a private DNS server must pass.
    """
    doors = _tagged(config.setdefault("inbounds", []))
    outbounds = config.setdefault("outbounds", [])
    if not outbounds:
        outbounds.append({"protocol": "freedom", "tag": "direct"})
    # Else a name could mean one address to the rules and another one to the connection.
    for outbound in outbounds:
        if outbound.get("protocol") == "freedom":
            settings = outbound.setdefault("settings", {})
            if not str(settings.get("domainStrategy", "")).startswith(("UseIP", "ForceIP")):
                settings["domainStrategy"] = "UseIP"
    outbounds.append({"protocol": "blackhole", "tag": BLOCKED_TAG})
    routing = config.setdefault("routing", {})
    routing["domainStrategy"] = "IPOnDemand"
    # On the API's port no name passes at all: its owner could answer differently each time.
    refused: list[dict[str, Any]] = [
        {"port": api_port, "domain": ANY_NAME},
        {"port": api_port, "ip": PRIVATE},
    ]
    if not allow_private:
        refused += [{"domain": LOCAL_NAMES}, {"ip": PRIVATE}]
    base = {"type": "field", "inboundTag": doors, "outboundTag": BLOCKED_TAG}
    routing["rules"] = [{**base, **one} for one in refused] + routing.get("rules", [])


def _tagged(inbounds: list[dict[str, Any]]) -> list[str]:
    for number, inbound in enumerate(inbounds):
        if not inbound.get("tag"):
            inbound["tag"] = f"vitrine-door-{number}"
    return [inbound["tag"] for inbound in inbounds]
