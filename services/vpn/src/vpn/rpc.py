"""What vpn answers: reads, each within two seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from contracts import vpn
from contracts.envelope import Reply, Request
from vpn.handlers.get_access import get_access
from vpn.handlers.get_nodes import get_nodes, get_reconcile_report
from vpn.ports.desired import Desired
from vpn.ports.reads import NodeReads, Reads
from vpn.ports.registry import NodeConfig

Answer = tuple[type[Request], Callable[[Any], Awaitable[Reply]]]


def table(
    *,
    reads: Reads,
    node_reads: NodeReads,
    desired: Desired,
    nodes: Mapping[str, NodeConfig],
    regions: Mapping[str, str],
    base_url: str,
) -> tuple[Answer, ...]:
    return (
        (
            vpn.GetAccess,
            partial(get_access, reads=reads, nodes=nodes, regions=regions, base_url=base_url),
        ),
        (vpn.GetNodes, partial(get_nodes, nodes=node_reads, desired=desired)),
        (vpn.GetReconcileReport, partial(get_reconcile_report, nodes=node_reads)),
    )
