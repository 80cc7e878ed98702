"""Nodes as they are registered: who they are, how they are reached, and what apps are told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from vpn.domain import loopback
from vpn.domain.links import NodeLink

AGENT, XRAY_GRPC, MEMORY = "agent", "xray_grpc", "memory"
DRIVERS = (AGENT, XRAY_GRPC, MEMORY)
STATE_ACTIVE, STATE_DRAINING, STATE_OFF = "active", "draining", "off"
STATE_GONE = "gone"
"""Off, and the machine is no more: nobody waits for it to confirm that it holds nobody."""
STATES = (STATE_ACTIVE, STATE_DRAINING, STATE_OFF, STATE_GONE)
UP, DOWN, SYNCING, SICK = "up", "down", "syncing", "sick"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One [[nodes]] table. `link`: what apps are told, see domain.links.NodeLink."""

    name: str
    region: str
    url: str = ""
    """Of its agent (https), or host:port of its core."""
    driver: str = AGENT
    inbound: str = "vless"
    link: dict[str, Any] = {}

    @property
    def shown(self) -> NodeLink:
        """What apps are told. Raises TypeError or ValueError for fields it has not got."""
        fields: Mapping[str, Any] = {"name": self.name, "region": self.region, **self.link}
        if "alpn" in fields:
            fields = {**fields, "alpn": tuple(fields["alpn"])}
        return NodeLink(**fields)

    def problems(self) -> Iterator[str]:
        if not _NAME.fullmatch(self.name):
            yield "a name is 1-40 lower-case letters, digits or -"
        if self.driver == AGENT and not self.url.startswith("https://"):
            yield "url: an agent is reached by https"
        if self.driver == XRAY_GRPC and (problem := loopback.problem_of(self.url)):
            yield f"url: {problem}"
        try:
            yield from (f"link: {problem}" for problem in self.shown.problems())
        except (TypeError, ValueError, AttributeError) as error:
            yield f"link: {error}"
