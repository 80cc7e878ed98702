"""Where people may not go through the core: its own API, the node itself, its private surroundings.

A name is a promise its owner may break: what it meant to the rules it need not mean to the
connection a moment later. So nothing is dialled by name: Xray is told so, and filters what names
may mean; v2ray would dial the name after all, so what leaves it is judged once more, as an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from uuid import UUID

import msgspec

from vpn.adapters.core.client import V2RAY

Network = IPv4Network | IPv6Network
BLOCKED_TAG = "vitrine-blocked"
AGAIN_TAG = "vitrine-again"
"""Of the doors at which v2ray judges once more, and of the ways to them."""
LAST_TAG = "vitrine-last"
DNS_TAG = "vitrine-dns"
LOOPBACK = "127.0.0.1"
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
    "::ffff:0:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)


def _through_nat64(network: Network) -> IPv6Network:
    base = int(IPv6Network("64:ff9b::/96").network_address)
    return IPv6Network((base + int(network.network_address), 96 + network.prefixlen))


def _networks(texts: Iterable[str]) -> list[Network]:
    v4 = [one for one in map(ip_network, texts) if one.version == 4]  # noqa: PLR2004 - IPv4
    v6 = [one for one in map(ip_network, texts) if one.version != 4]  # noqa: PLR2004 - IPv4
    return [*v4, *v6, *map(_through_nat64, v4)]


PRIVATE = [str(one) for one in _networks(_PRIVATE_V4 + _PRIVATE_V6)]
EVERYWHERE = ("0.0.0.0/0", "::/0")
LOCAL_NAMES = [
    r"regexp:^[^.]*\.?$",  # localhost, the node's own name, and addresses as one number
    r"regexp:(?i)(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$",  # addresses in forms the core does not parse
    r"regexp:[:%\[\]]",
    r"regexp:(?i)(^|\.)(localhost|localdomain|local|internal|lan|home\.arpa)\.?$",
]
"""Names that only the node's own resolver knows: they are not left to any answer."""
ANY_NAME = ["regexp:.*"]
RESOLVING = ("UseIP", "ForceIP")


class Limits(msgspec.Struct, frozen=True):
    """What people may not reach besides the core's API."""

    allow_private: bool = False
    own: tuple[str, ...] = ()
    """Addresses of the node itself, under which its services might trust whoever comes."""
    allowed: tuple[str, ...] = ()
    """Networks that people may reach although they are private or the node's own."""

    def refused(self) -> list[str]:
        """Return the networks nobody reaches."""
        own = [str(ip_network(one)) for one in self.own]
        return without([*PRIVATE, *map(str, _networks(own))], self.allowed)


def without(networks: Iterable[str], less: Iterable[str]) -> list[str]:
    """Return networks from which others are taken out."""
    left = list(dict.fromkeys(map(ip_network, networks)))
    for taken in map(ip_network, less):
        kept: list[Network] = []
        for one in left:
            if one.version != taken.version or not one.overlaps(taken):
                kept.append(one)
            elif one != taken and taken.subnet_of(one):  # type: ignore[arg-type]
                kept.extend(one.address_exclude(taken))  # type: ignore[arg-type]
        left = kept
    return [str(one) for one in left]


def doors(config: dict[str, Any], kind: str, limits: Limits) -> int:
    """Return how many ports of its own v2ray needs to judge once more: one for each way out."""
    if kind != V2RAY or limits.allow_private:
        return 0
    return max(len(_freedoms(config)), not config.get("outbounds"))


def guard(
    config: dict[str, Any],
    api_port: int,
    limits: Limits,
    *,
    kind: str,
    again: Sequence[int],
    key: UUID,
) -> None:
    """Put the rules that refuse before all others, for whatever comes in by any inbound.

    Only for what comes in: the core's own questions to a private DNS server must pass.
    """
    people = _tagged(config.setdefault("inbounds", []))
    outbounds = config.setdefault("outbounds", [])
    if not outbounds:
        outbounds.append({"protocol": "freedom", "tag": "direct"})
    refused = limits.refused()
    for outbound in _freedoms(config):
        _resolve(outbound, kind)
    if kind != V2RAY and not limits.allow_private:
        _filter_names(config, without(EVERYWHERE, refused))
    outbounds.append({"protocol": "blackhole", "tag": BLOCKED_TAG})
    routing = config.setdefault("routing", {})
    routing["domainStrategy"] = "IPOnDemand"
    ports = ",".join(map(str, (api_port, *again)))
    # On the API's port no name passes at all: its owner could answer differently each time.
    rules: list[dict[str, Any]] = [
        {"port": ports, "domain": ANY_NAME},
        {"port": ports, "ip": PRIVATE},
    ]
    if not limits.allow_private:
        rules += [{"domain": LOCAL_NAMES}, {"ip": refused}]
    blocked = [_rule(people, BLOCKED_TAG, **one) for one in rules]
    once_more = _judged_again(config, refused, again, key)
    routing["rules"] = blocked + once_more + routing.get("rules", [])


def _rule(came_by: list[str], goes_to: str, **what: Any) -> dict[str, Any]:
    return {"type": "field", "inboundTag": came_by, "outboundTag": goes_to, **what}


def _freedoms(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in config.get("outbounds", ()) if one.get("protocol") == "freedom"]


def _resolve(outbound: dict[str, Any], kind: str) -> None:
    """Have the core resolve names itself; Xray's ForceIP never dials what it cannot resolve."""
    settings = outbound.setdefault("settings", {})
    said = str(settings.get("domainStrategy", ""))
    if not said.startswith(RESOLVING):
        said = "UseIP"
    settings["domainStrategy"] = said if kind == V2RAY else said.replace("UseIP", "ForceIP")


def _filter_names(config: dict[str, Any], public: list[str]) -> None:
    """Have no server's answer believed that leads to where nobody may go."""
    dns = config.setdefault("dns", {})
    servers = dns.get("servers") or ["localhost"]
    dns["servers"] = [_filtered(one, public) for one in servers]


def _filtered(server: Any, public: list[str]) -> Any:
    if isinstance(server, str):
        return server if server == "fakedns" else {"address": server, "expectIPs": public}
    if server.keys() & {"expectIPs", "expectedIPs"}:
        return server
    return {**server, "expectIPs": public}


def _judged_again(
    config: dict[str, Any], refused: list[str], ports: Sequence[int], key: UUID
) -> list[dict[str, Any]]:
    """Lead every way out through a door of our own, where only addresses pass that may be reached.

    What left by a resolved name comes in there as the very address that will be dialled.
    """
    rules: list[dict[str, Any]] = []
    if not ports:
        return rules
    freedoms = _freedoms(config)
    default = f"{LAST_TAG}-0" if config["outbounds"][0] in freedoms[:1] else ""
    lasts = {}
    for number, (port, outbound) in enumerate(zip(ports, freedoms, strict=True)):
        again, last = f"{AGAIN_TAG}-{number}", f"{LAST_TAG}-{number}"
        lasts[outbound.get("tag")] = last
        config["outbounds"] += [_last(outbound, last), _way_back(again, port, key)]
        for name in ("sendThrough", "streamSettings", "mux"):
            outbound.pop(name, None)
        outbound["proxySettings"] = {"tag": again}
        config["inbounds"].append(_door(again, port, key))
        rules += [
            _rule([again], BLOCKED_TAG, domain=ANY_NAME),
            _rule([again], BLOCKED_TAG, ip=refused),
            _rule([again], last, network="tcp,udp"),
        ]
    return rules + _own_questions(config, lasts, default)


def _last(outbound: dict[str, Any], tag: str) -> dict[str, Any]:
    """Return the way out as the operator made it, for addresses that were judged."""
    return {**outbound, "tag": tag, "settings": {**outbound["settings"], "domainStrategy": "AsIs"}}


def _own_questions(
    config: dict[str, Any], lasts: dict[Any, str], default: str
) -> list[dict[str, Any]]:
    """Let the core's own questions to DNS servers, private ones too, go as the operator said."""
    tag = config.setdefault("dns", {}).setdefault("tag", DNS_TAG)
    rules = []
    for rule in config["routing"].get("rules", ()):
        if "outboundTag" in rule and tag in rule.get("inboundTag", (tag,)):
            goes_to = lasts.get(rule["outboundTag"], rule["outboundTag"])
            rules.append({**rule, "inboundTag": [tag], "outboundTag": goes_to})
    return [*rules, _rule([tag], default, network="tcp,udp")] if default else rules


def _way_back(tag: str, port: int, key: UUID) -> dict[str, Any]:
    users = [{"id": str(key), "encryption": "none"}]
    servers = [{"address": LOOPBACK, "port": port, "users": users}]
    return {"tag": tag, "protocol": "vless", "settings": {"vnext": servers}}


def _door(tag: str, port: int, key: UUID) -> dict[str, Any]:
    settings = {"decryption": "none", "clients": [{"id": str(key)}]}
    return {"tag": tag, "listen": LOOPBACK, "port": port, "protocol": "vless", "settings": settings}


def _tagged(inbounds: list[dict[str, Any]]) -> list[str]:
    for number, inbound in enumerate(inbounds):
        if not inbound.get("tag"):
            inbound["tag"] = f"vitrine-door-{number}"
    return [inbound["tag"] for inbound in inbounds]
