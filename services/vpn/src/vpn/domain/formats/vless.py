"""Links of the form vless://, one per node, and their list in base64."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from vpn.domain.formats.entries import Entry
from vpn.domain.links import NETWORKS, NodeLink

KNOWS = NETWORKS


def link(entry: Entry) -> str:
    node = entry.node
    # Every value is escaped whole, as encodeURIComponent would: a path holds /, ? and &.
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in _fields(node))
    address = f"[{node.address}]" if ":" in node.address else quote(node.address, safe=".")
    return f"vless://{entry.key}@{address}:{node.port}?{query}#{quote(entry.remark, safe='')}"


def links(entries: Sequence[Entry]) -> str:
    return "".join(f"{link(entry)}\n" for entry in entries)


def in_base64(entries: Sequence[Entry]) -> str:
    return base64.b64encode(links(entries).encode()).decode()


def _fields(node: NodeLink) -> Iterator[tuple[str, str]]:
    yield "encryption", "none"
    yield "type", node.network
    yield "security", node.security
    for name, value in (*_security(node), *_network(node)):
        if value:
            yield name, value


def _security(node: NodeLink) -> Iterator[tuple[str, str]]:
    if node.security == "none":
        return
    yield "flow", node.used_flow
    yield "sni", node.sni
    yield "fp", node.fp
    if node.security == "tls":
        yield "alpn", ",".join(node.alpn)
    else:
        yield "pbk", node.pbk
        yield "sid", node.sid
        yield "spx", node.spx


def _network(node: NodeLink) -> Iterator[tuple[str, str]]:
    if node.network == "grpc":
        yield "serviceName", node.service_name
        yield "mode", node.mode or "gun"
        yield "authority", node.authority
    elif node.network in ("ws", "xhttp"):
        yield "path", node.path
        yield "host", node.host
        if node.network == "xhttp":
            yield "mode", node.mode
            yield "extra", node.extra
