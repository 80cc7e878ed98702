"""How far a run is: each node weighs what it took last time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

LEARNING_RATE = 0.3
FRACTION_MAX = 0.99
"""Progress never says done: only the result does."""
NODE_FLOOR_SECONDS = 0.001


class NodeProgress(msgspec.Struct, frozen=True, kw_only=True):
    value: float
    maximum: float
    finished: bool = False

    @property
    def fraction(self) -> float:
        if self.finished:
            return 1.0
        return min(self.value / self.maximum, 1.0) if self.maximum > 0 else 0.0


def fraction(
    nodes: Iterable[str],
    seen: Mapping[str, NodeProgress],
    weights: Mapping[str, float],
) -> float:
    """0..0.99 over a graph's nodes, by what each took last time.

    Before anything is learnt a node counts as many times as it reports steps: steps are where
    the time goes.
    """
    known = [weight for weight in weights.values() if weight > 0]
    average = sum(known) / len(known) if known else 0.0
    total = done = 0.0
    for node in nodes:
        weight = weights.get(node, average) if known else _steps(seen.get(node))
        weight = max(weight, NODE_FLOOR_SECONDS)
        total += weight
        if node in seen:
            done += weight * seen[node].fraction
    return min(done / total, FRACTION_MAX) if total else 0.0


def _steps(seen: NodeProgress | None) -> float:
    return max(seen.maximum, 1.0) if seen is not None else 1.0


class Durations:
    """What each workflow and each of its nodes took on this server, newest weighing most."""

    def __init__(self) -> None:
        self._runs: dict[str, float] = {}
        self._nodes: dict[str, dict[str, float]] = {}

    def expected(self, workflow_id: str, default: float) -> float:
        return self._runs.get(workflow_id, default)

    def weights(self, workflow_id: str) -> Mapping[str, float]:
        return self._nodes.get(workflow_id, {})

    def learn(self, workflow_id: str, seconds: float, nodes: Mapping[str, float]) -> None:
        self._runs[workflow_id] = _blend(self._runs.get(workflow_id), seconds)
        known = self._nodes.setdefault(workflow_id, {})
        for node, node_seconds in nodes.items():
            known[node] = _blend(known.get(node), node_seconds)


def _blend(old: float | None, new: float) -> float:
    return new if old is None else old + LEARNING_RATE * (new - old)
