"""Reading an API-format graph: links, upstream nodes, cache signatures."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from simulators.comfyui.nodes import REGISTRY

Graph = dict[str, Any]


def is_link(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int | float)
    )


def parents(graph: Graph, node_id: str) -> list[str]:
    """The nodes a node takes values from, each once, in the order of its inputs."""
    class_type = graph[node_id]["class_type"]
    known = REGISTRY[class_type].inputs()
    found: dict[str, None] = {}
    for name, value in graph[node_id]["inputs"].items():
        if is_link(value) and name in known:
            found[value[0]] = None
    return list(found)


def signatures(graph: Graph, outputs: list[str], content_hash: Callable[[str], str]) -> Graph:
    """What each node's result depends on: its class, its inputs and all of that upstream."""
    known: dict[str, str] = {}

    def of(node_id: str) -> str:
        if node_id in known:
            return known[node_id]
        spec = graph[node_id]
        node_type = REGISTRY[spec["class_type"]]
        parts: list[Any] = [spec["class_type"]]
        for name, declared in sorted(node_type.inputs().items()):
            value = spec["inputs"].get(name)
            if is_link(value):
                parts.append([name, of(value[0]), value[1]])
            else:
                parts.append([name, value])
            if declared.files and isinstance(value, str):
                parts.append(content_hash(value))
        digest = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
        known[node_id] = digest
        return digest

    for output in outputs:
        of(output)
    return known


def execution_order(graph: Graph, outputs: list[str], cached: set[str]) -> list[str]:
    """Nodes to visit, parents first; nothing upstream of a cached node is visited."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(node_id: str) -> None:
        if node_id in seen:
            return
        seen.add(node_id)
        if node_id not in cached:
            for parent in parents(graph, node_id):
                if parent not in cached:
                    visit(parent)
        order.append(node_id)

    for output in outputs:
        visit(output)
    return order
