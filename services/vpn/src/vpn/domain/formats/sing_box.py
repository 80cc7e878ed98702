"""A whole configuration of sing-box, by the schema it has had since 1.12."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from vpn.domain.formats.entries import Entry
from vpn.domain.links import NodeLink

KNOWS = ("tcp", "ws", "grpc")
"""It has no XHTTP."""
SELECTOR = "proxy"
AUTO = "auto"
DIRECT = "direct"
CHECK_URL = "https://www.gstatic.com/generate_204"
TUN_ADDRESSES = ("172.19.0.1/30", "fdfe:dcba:9876::1/126")
RESOLVER = "1.1.1.1"


def config(entries: Sequence[Entry]) -> str:
    tags = [entry.remark for entry in entries]
    content = {
        "log": {"level": "warn"},
        "dns": {
            "servers": [
                {"type": "https", "tag": "remote", "server": RESOLVER, "detour": SELECTOR},
                {"type": "local", "tag": "local"},
            ],
            "final": "remote",
            "strategy": "prefer_ipv4",
        },
        "inbounds": [
            {
                "type": "tun",
                "tag": "tun-in",
                "address": list(TUN_ADDRESSES),
                "auto_route": True,
                "strict_route": True,
            }
        ],
        "outbounds": [
            {"type": "selector", "tag": SELECTOR, "outbounds": [AUTO, *tags], "default": AUTO},
            {"type": "urltest", "tag": AUTO, "outbounds": tags, "url": CHECK_URL},
            *(_outbound(entry) for entry in entries),
            {"type": "direct", "tag": DIRECT},
        ],
        "route": {
            "rules": [
                {"action": "sniff"},
                {"protocol": "dns", "action": "hijack-dns"},
                {"ip_is_private": True, "action": "route", "outbound": DIRECT},
            ],
            "final": SELECTOR,
            "auto_detect_interface": True,
            # The nodes' own names: asked of the system, or they would be asked through themselves.
            "default_domain_resolver": "local",
        },
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _outbound(entry: Entry) -> dict[str, Any]:
    node = entry.node
    outbound: dict[str, Any] = {
        "type": "vless",
        "tag": entry.remark,
        "server": node.address,
        "server_port": node.port,
        "uuid": str(entry.key),
    }
    if node.used_flow:
        outbound["flow"] = node.used_flow
    if node.security != "none":
        outbound["tls"] = _tls(node)
    if node.network == "ws":
        transport: dict[str, Any] = {"type": "ws", "path": node.path or "/"}
        if node.host:
            transport["headers"] = {"Host": node.host}
        outbound["transport"] = transport
    elif node.network == "grpc":
        outbound["transport"] = {"type": "grpc", "service_name": node.service_name}
    return outbound


def _tls(node: NodeLink) -> dict[str, Any]:
    tls: dict[str, Any] = {"enabled": True}
    if node.sni:
        tls["server_name"] = node.sni
    if node.security == "tls" and node.alpn:
        tls["alpn"] = list(node.alpn)
    if node.fp or node.security == "reality":
        # Reality is refused without a browser's fingerprint.
        tls["utls"] = {"enabled": True, "fingerprint": node.fp or "chrome"}
    if node.security == "reality":
        tls["reality"] = {"enabled": True, "public_key": node.pbk, "short_id": node.sid}
    return tls
