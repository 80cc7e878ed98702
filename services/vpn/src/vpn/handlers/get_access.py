from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.vpn import Access, GetAccess, NodeStatus
from vpn.domain.plans import serves
from vpn.ports.reads import Reads
from vpn.ports.registry import DOWN, STATE_OFF, NodeConfig


async def get_access(
    request: GetAccess,
    *,
    reads: Reads,
    nodes: Mapping[str, NodeConfig],
    regions: Mapping[str, str],
    base_url: str,
) -> Access:
    """A person's subscription with its link, which is a secret: nobody logs this answer."""
    row = await reads.access(request.user_id)
    if row is None:
        return Access()
    if row["id"] is None:
        return Access(trial_used=row["trial_used"], reminders=row["reminders"])
    return Access(
        exists=True,
        subscription_id=row["id"],
        state=row["state"],
        plan=row["plan"],
        trial=row["trial"],
        trial_used=row["trial_used"],
        until=row["until"],
        grace_until=row["grace_until"],
        link=f"{base_url}/sub/{row['link']}" if row["link"] else "",
        auto_renew=row["auto_renew"],
        reminders=row["reminders"],
        used_bytes=row["used_bytes"],
        limit_bytes=row["limit_bytes"] or 0,
        devices=row["devices"],
        devices_online=row["online"],
        nodes=await _nodes(row, reads, nodes, regions),
    )


async def _nodes(
    row: Mapping[str, Any],
    reads: Reads,
    nodes: Mapping[str, NodeConfig],
    regions: Mapping[str, str],
) -> tuple[NodeStatus, ...]:
    states = await reads.states()
    shown = (
        (nodes[name], health)
        for name, (state, health) in states.items()
        if name in nodes and state != STATE_OFF
    )
    return tuple(
        NodeStatus(name=node.name, region=regions.get(node.region, node.region), up=health != DOWN)
        for node, health in shown
        if serves(row["set_id"], node.region)
    )
