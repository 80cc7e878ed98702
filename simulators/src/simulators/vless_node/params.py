"""How a client reaches a node: what a vless:// link says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID


@dataclass(frozen=True)
class VlessParams:
    host: str
    port: int
    key: UUID
    flow: str = ""
    network: str = "tcp"
    security: str = "none"
    path: str = ""
    server_name: str = ""

    def with_key(self, key: UUID) -> VlessParams:
        return replace(self, key=key)

    def outbound(self) -> dict[str, Any]:
        """The client's half of the configuration, in v2ray's words."""
        user = {"id": str(self.key), "encryption": "none"}
        if self.flow:
            user["flow"] = self.flow
        stream: dict[str, Any] = {"network": self.network, "security": self.security}
        if self.network == "ws":
            stream["wsSettings"] = {"path": self.path or "/"}
        if self.security == "tls":
            stream["tlsSettings"] = {"serverName": self.server_name, "allowInsecure": True}
        server = {"address": self.host, "port": self.port, "users": [user]}
        return {"protocol": "vless", "settings": {"vnext": [server]}, "streamSettings": stream}


def parse_link(link: str) -> VlessParams:
    """Read a vless:// link strictly: a field given twice is an error, as it is to clients."""
    parts = urlsplit(link)
    if parts.scheme != "vless" or not parts.hostname or not parts.port or not parts.username:
        raise ValueError(f"not a vless link: {link!r}")
    fields = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    twice = [name for name, values in fields.items() if len(values) > 1]
    if twice:
        raise ValueError(f"given twice: {twice}")

    def field(name: str, default: str = "") -> str:
        return fields.get(name, [default])[0]

    return VlessParams(
        host=parts.hostname,
        port=parts.port,
        key=UUID(unquote(parts.username)),
        flow=field("flow"),
        network=field("type", "tcp"),
        security=field("security", "none"),
        path=field("path"),
        server_name=field("sni"),
    )
