"""YAML for Clash: Clash.Meta (mihomo) knows every node, Stash most, the first Clash none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from vpn.domain.formats.entries import Entry
from vpn.domain.links import NETWORKS, NodeLink

META_KNOWS = NETWORKS
STASH_KNOWS = ("tcp", "ws", "grpc")
CLASH_KNOWS: tuple[str, ...] = ()
"""It has no VLESS at all: it is told so."""

AUTO = "Auto"
CHECK_URL = "https://www.gstatic.com/generate_204"
CHECK_SECONDS = 300
HEAD = (
    "mixed-port: 7890",
    "allow-lan: false",
    "mode: rule",
    "log-level: warning",
    "ipv6: true",
)
HOME = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")


def group_name(title: str) -> str:
    """What a rule can name: its parts are parted by commas."""
    return " ".join(title.replace(",", " ").split()) or "VPN"


def config(entries: Sequence[Entry], *, group: str) -> str:
    """Each entry is one line of JSON, which YAML contains: quickly written, and all texts quoted.

    Unquoted, Go's reader takes a short id like 1e10 for a number.
    """
    names = [entry.remark for entry in entries]
    proxies = [_dummy(entry) if entry.dummy else _proxy(entry) for entry in entries]
    groups = (
        {"name": group, "type": "select", "proxies": [AUTO, *names]},
        {
            "name": AUTO,
            "type": "url-test",
            "proxies": names,
            "url": CHECK_URL,
            "interval": CHECK_SECONDS,
        },
    )
    rules = (*(f"IP-CIDR,{each},DIRECT,no-resolve" for each in HOME), f"MATCH,{group}")
    lines = [
        *HEAD,
        "proxies:",
        *map(_line, proxies),
        "proxy-groups:",
        *map(_line, groups),
        "rules:",
        *map(_line, rules),
    ]
    return "\n".join(lines) + "\n"


def _line(content: Any) -> str:
    return f"  - {msgspec.json.format(msgspec.json.encode(content), indent=0).decode()}"


def _dummy(entry: Entry) -> dict[str, Any]:
    """Of a kind that every Clash knows, or the first one would refuse the whole file."""
    node = entry.node
    return {"name": entry.remark, "type": "socks5", "server": node.address, "port": node.port}


def _proxy(entry: Entry) -> dict[str, Any]:
    node = entry.node
    proxy: dict[str, Any] = {
        "name": entry.remark,
        "type": "vless",
        "server": node.address,
        "port": node.port,
        "uuid": str(entry.key),
        "udp": True,
        "network": node.network,
        "tls": node.security != "none",
    }
    if node.security != "none":
        proxy |= _security(node)
    if node.network != "tcp":
        proxy |= {f"{node.network}-opts": _network(node)}
    return proxy


def _security(node: NodeLink) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "servername": node.sni,
        "client-fingerprint": node.fp,
        "flow": node.used_flow,
    }
    if node.security == "tls":
        fields["alpn"] = list(node.alpn)
    else:
        fields["reality-opts"] = {"public-key": node.pbk, "short-id": node.sid}
    return {name: value for name, value in fields.items() if value}


def _network(node: NodeLink) -> dict[str, Any]:
    if node.network == "grpc":
        return {"grpc-service-name": node.service_name}
    fields: dict[str, Any] = {"path": node.path or "/"}
    if node.network == "xhttp":
        fields |= {"host": node.host, "mode": node.mode}
    elif node.host:
        fields["headers"] = {"Host": node.host}
    return {name: value for name, value in fields.items() if value}
