"""A workflow's graph made ready for one attempt, and its result files found again."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from contracts.catalogue import OutputSpec, Workflow
from contracts.ids import OrderId
from generator.domain.errors import AttemptFailedError
from generator.domain.failures import Failure, Kind

SEED_BITS = 48


class ResultFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of ComfyUI's output folder; `kind` is image or video."""

    kind: str
    filename: str
    subfolder: str


def fill(
    workflow: Workflow, uploaded: Mapping[str, str], *, prefix: str, seed: int
) -> dict[str, Any]:
    """The graph of one attempt. `uploaded` maps an input's name to the name ComfyUI gave it.

    Prefix and seed differ per attempt: ComfyUI's cache would hand out a file already deleted.
    """
    graph = copy.deepcopy(workflow.graph)
    for spec in workflow.inputs:
        graph[spec.node]["inputs"][spec.field] = uploaded[spec.name]
    for node, field in workflow.variation.filename_prefix:
        graph[node]["inputs"][field] = prefix
    for node, field in workflow.variation.seed:
        graph[node]["inputs"][field] = seed
    return graph


def prefix_of(order_id: OrderId, prompt_id: str) -> str:
    return f"jobs/{order_id}/{prompt_id}/out"


def upload_name(prompt_id: str, index: int, extension: str) -> str:
    """ASCII only: ComfyUI keeps percent-encoding in file names as it comes."""
    return f"{prompt_id}-{index}.{extension}"


def seed_of(prompt_id: str) -> int:
    """A seed that a re-attached attempt finds again."""
    digest = hashlib.sha256(prompt_id.encode()).digest()
    return int.from_bytes(digest[: SEED_BITS // 8], "big")


def classes_of(workflow: Workflow) -> set[str]:
    return {str(node.get("class_type", "")) for node in workflow.graph.values()}


def result_files(
    outputs: Mapping[str, Any], expected: Sequence[OutputSpec]
) -> tuple[ResultFile, ...]:
    """The files of every expected node.

    A success may lack one (its branch failed validation): that is a failure, not a short result.
    """
    files: list[ResultFile] = []
    for spec in expected:
        found = _files(outputs.get(spec.node), spec.kind)
        if not found:
            detail = f"no output of node {spec.node}"
            raise AttemptFailedError(Failure(kind=Kind.OUTPUT_MISSING, detail=detail))
        files += found
    return tuple(files)


def _files(node: object, kind: str) -> list[ResultFile]:
    # Videos come under `images`, `gifs` or `video`, by node pack: every list is looked through.
    if not isinstance(node, Mapping):
        return []
    return [
        ResultFile(kind=kind, filename=item["filename"], subfolder=item.get("subfolder", ""))
        for items in node.values()
        if isinstance(items, list)
        for item in items
        if isinstance(item, Mapping) and "filename" in item and item.get("type") == "output"
    ]
