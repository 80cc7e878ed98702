"""Whole configurations of Xray: a list with one per node, which an app shows by its remarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from vpn.domain.formats.entries import Entry
from vpn.domain.links import NETWORKS, NodeLink

KNOWS = NETWORKS
SOCKS_PORT = 10_808
HTTP_PORT = 10_809
HOME = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
"""Written out: `geoip:private` needs a file that not every app has."""


def configs(entries: Sequence[Entry]) -> str:
    content = [_config(entry) for entry in entries]
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _config(entry: Entry) -> dict[str, Any]:
    node = entry.node
    user: dict[str, Any] = {"id": str(entry.key), "encryption": "none"}
    if node.used_flow:
        user["flow"] = node.used_flow
    server = {"address": node.address, "port": node.port, "users": [user]}
    return {
        "remarks": entry.remark,
        "log": {"loglevel": "warning"},
        "inbounds": [
            {
                "tag": "socks",
                "listen": "127.0.0.1",
                "port": SOCKS_PORT,
                "protocol": "socks",
                "settings": {"udp": True},
                "sniffing": {"enabled": True, "destOverride": ["http", "tls"]},
            },
            {"tag": "http", "listen": "127.0.0.1", "port": HTTP_PORT, "protocol": "http"},
        ],
        "outbounds": [
            {
                "tag": "proxy",
                "protocol": "vless",
                "settings": {"vnext": [server]},
                "streamSettings": _stream(node),
            },
            {"tag": "direct", "protocol": "freedom"},
        ],
        "routing": {
            "domainStrategy": "AsIs",
            "rules": [{"type": "field", "ip": list(HOME), "outboundTag": "direct"}],
        },
    }


def _stream(node: NodeLink) -> dict[str, Any]:
    stream: dict[str, Any] = {"network": node.network, "security": node.security}
    if node.security == "tls":
        tls = {"serverName": node.sni, "fingerprint": node.fp, "alpn": list(node.alpn)}
        stream["tlsSettings"] = _filled(tls)
    elif node.security == "reality":
        reality = {
            "serverName": node.sni,
            "fingerprint": node.fp or "chrome",
            "publicKey": node.pbk,
            "shortId": node.sid,
            "spiderX": node.spx,
        }
        stream["realitySettings"] = _filled(reality)
    if node.network == "ws":
        stream["wsSettings"] = _filled({"path": node.path or "/", "host": node.host})
    elif node.network == "grpc":
        grpc = {
            "serviceName": node.service_name,
            "multiMode": node.mode == "multi",
            "authority": node.authority,
        }
        stream["grpcSettings"] = _filled(grpc)
    elif node.network == "xhttp":
        xhttp: dict[str, Any] = {"path": node.path or "/", "host": node.host, "mode": node.mode}
        if node.extra:
            xhttp["extra"] = msgspec.Raw(node.extra.encode())
        stream["xhttpSettings"] = _filled(xhttp)
    return stream


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
