"""Subscription links kept in memory: for tests and the bench of the endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.vpn import STATE_ACTIVE
from vpn.domain.links import VISION, LinkView, NodeLink


@dataclass
class MemoryLinks:
    kept: dict[str, LinkView] = field(default_factory=dict)
    asked: int = 0

    async def by_token(self, token: str) -> LinkView | None:
        self.asked += 1
        return self.kept.get(token)

    def rotate(self, old: str, new: str) -> None:
        self.kept[new] = self.kept.pop(old)


_REALITY_KEY = "Z84J2IelR9ch3k8VtlVhhs5ycBUlXA7wHBWcBrjqnAw"
SAMPLE_NODES = (
    NodeLink(
        name="Amsterdam",
        region="nl",
        address="nl1.example.net",
        port=443,
        security="reality",
        flow=VISION,
        sni="www.example.com",
        fp="chrome",
        pbk=_REALITY_KEY,
        sid="6ba85179e30d4fc2",
        spx="/a?b=c&d",
    ),
    NodeLink(
        name="Франкфурт №1",
        region="de",
        address="2001:db8::7",
        port=8443,
        security="tls",
        flow=VISION,
        sni="de1.example.net",
        fp="firefox",
        alpn=("h2", "http/1.1"),
    ),
    NodeLink(name="Local", region="", address="192.0.2.10", port=8080),
    NodeLink(
        name="CDN / ws & more?",
        region="fi",
        address="cdn.example.net",
        port=443,
        network="ws",
        security="tls",
        sni="cdn.example.net",
        fp="chrome",
        path="/ws?ed=1&x=#y",
        host="front.example.net",
    ),
    NodeLink(name="Plain ws", region="fi", address="192.0.2.11", port=80, network="ws", path="/w"),
    NodeLink(
        name="gRPC",
        region="se",
        address="se1.example.net",
        port=443,
        network="grpc",
        security="reality",
        sni="www.example.org",
        pbk=_REALITY_KEY,
        service_name="a/b c",
        mode="multi",
        authority="se1.example.net",
    ),
    NodeLink(
        name="gRPC",
        region="se",
        address="se2.example.net",
        port=2053,
        network="grpc",
        security="tls",
        sni="se2.example.net",
        alpn=("h2",),
        service_name="grpc",
    ),
    NodeLink(
        name="XHTTP",
        region="us",
        address="us1.example.net",
        port=443,
        network="xhttp",
        security="reality",
        sni="www.example.com",
        fp="safari",
        pbk=_REALITY_KEY,
        sid="ab",
        path="/x",
        mode="auto",
        extra='{"xPaddingBytes":"100-1000"}',
    ),
    NodeLink(
        name="XHTTP over TLS",
        region="us",
        address="us2.example.net",
        port=443,
        network="xhttp",
        security="tls",
        sni="us2.example.net",
        alpn=("h3",),
        path="/y",
        host="us2.example.net",
        mode="packet-up",
    ),
    NodeLink(
        name="Plain gRPC",
        region="gb",
        address="192.0.2.12",
        port=50_051,
        network="grpc",
        service_name="plain",
    ),
)
"""Every network with every security that goes with it, an IPv6 address and difficult names."""


def sample(until: datetime) -> LinkView:
    """A running subscription that has used a third of its traffic."""
    return LinkView(
        state=STATE_ACTIVE,
        plan_title_key="vpn-month",
        until=until,
        key=UUID("3f0c1f3e-7d58-4d4b-9b64-2f3f5ad1c0de"),
        nodes=SAMPLE_NODES,
        upload_bytes=5 * 1024**3,
        download_bytes=28 * 1024**3,
        limit_bytes=100 * 1024**3,
        devices=3,
    )
