"""The workflow catalogue: one folder per workflow, read at start, refused whole if bad."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from contracts.money import Credits

MANIFEST = "manifest.toml"
WORKFLOW = "workflow.json"


class CatalogueError(Exception):
    """A manifest or graph is unusable; the sentence names file, field and reason."""


class InputSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file the person gives, the node that reads it, and what it may measure."""

    name: str
    kind: str
    node: str
    field: str
    max_bytes: int
    max_pixels: int
    min_side_pixels: int = 1


class OutputSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node whose files are the result; `kind` is image or video."""

    node: str
    kind: str


class Variation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[node, field] pairs set anew per attempt, so ComfyUI's cache never hands out an old file."""

    filename_prefix: tuple[tuple[str, str], ...] = ()
    seed: tuple[tuple[str, str], ...] = ()


class Workflow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A manifest, and the ComfyUI API graph beside it."""

    id: str
    version: int
    pool: str
    title_key: str
    description_key: str
    price_credits: Credits
    deadline_seconds: float
    expected_seconds: float
    outputs: tuple[OutputSpec, ...]
    inputs: tuple[InputSpec, ...] = ()
    free_per_day: int = 0
    unlimited_tiers: tuple[str, ...] = ()
    variation: Variation = Variation()
    graph: dict[str, Any] = msgspec.field(default_factory=dict)


Catalogue = dict[str, Workflow]


def load(folder: Path) -> Catalogue:
    """Read every `<id>/manifest.toml` below `folder` (`examples/` excepted).

    Raises CatalogueError naming file, field and reason.
    """
    found: Catalogue = {}
    for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
        if manifest.parent.name == "examples":
            continue
        workflow = _read(manifest)
        found[workflow.id] = workflow
    if not found:
        raise CatalogueError(f"{folder}: no workflow found")
    return found


def _read(manifest: Path) -> Workflow:
    try:
        raw = tomllib.loads(manifest.read_text(encoding="utf-8"))
        graph = json.loads((manifest.parent / WORKFLOW).read_text(encoding="utf-8"))
        workflow = msgspec.convert({**raw, "graph": graph}, Workflow)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise CatalogueError(f"{manifest}: {error}") from error
    for problem in _problems(workflow, manifest.parent.name):
        raise CatalogueError(f"{manifest}: {problem}")
    return workflow


def _problems(workflow: Workflow, folder: str) -> list[str]:
    problems = []
    if workflow.id != folder:
        problems.append(f"id: {workflow.id} is not the folder's name")
    if workflow.version < 1:
        problems.append("version: must be 1 or more")
    if workflow.price_credits < 0:
        problems.append("price_credits: must not be negative")
    if workflow.free_per_day and workflow.price_credits:
        problems.append("free_per_day: only a workflow of price 0 has a daily limit")
    if workflow.deadline_seconds <= 0 or workflow.expected_seconds <= 0:
        problems.append("deadline_seconds, expected_seconds: must be above 0")
    if not workflow.outputs:
        problems.append("outputs: at least one")
    for index, item in enumerate(workflow.inputs):
        if item.field not in _inputs_of(workflow.graph, item.node):
            problems.append(f"inputs[{index}]: node {item.node} has no input {item.field}")
        if min(item.max_bytes, item.max_pixels, item.min_side_pixels) < 1:
            problems.append(f"inputs[{index}]: limits must be above 0")
    for index, output in enumerate(workflow.outputs):
        if output.node not in workflow.graph:
            problems.append(f"outputs[{index}]: the graph has no node {output.node}")
        if output.kind not in {"image", "video"}:
            problems.append(f"outputs[{index}]: kind {output.kind} is not image or video")
    for node, field in (*workflow.variation.filename_prefix, *workflow.variation.seed):
        if field not in _inputs_of(workflow.graph, node):
            problems.append(f"variation: node {node} has no input {field}")
    return problems


def _inputs_of(graph: dict[str, Any], node: str) -> dict[str, Any]:
    inputs = graph.get(node, {}).get("inputs", {})
    return inputs if isinstance(inputs, dict) else {}
