"""Names for everything that can go wrong with one attempt, read from what ComfyUI says.

ComfyUI's errors quote the person's text and server paths: only the class and a short name of
ours leave this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Kind(StrEnum):
    """Failure kinds (facts: ComfyUI §6). They are tallied in the job's record."""

    VALIDATION = "validation"
    PARTIAL_VALIDATION = "partial_validation"
    INPUT_REJECTED = "input_rejected"
    MISSING_MODEL = "missing_model"
    BAD_INPUT = "bad_input"
    INPUT_GONE = "input_gone"
    INPUT_DAMAGED = "input_damaged"
    TOO_LARGE = "too_large"
    NODE_ERROR = "node_error"
    OUT_OF_MEMORY = "out_of_memory"
    CUDA_BROKEN = "cuda_broken"
    DISK_FULL = "disk_full"
    INTERRUPTED = "interrupted"
    SERVER_DIED = "server_died"
    LOST = "lost"
    SUBMIT_FAILED = "submit_failed"
    ZOMBIE = "zombie"
    DEADLINE = "deadline"
    HUNG = "hung"
    OUTPUT_MISSING = "output_missing"
    OUTPUT_DAMAGED = "output_damaged"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """`detail` is safe to show and to log: never user text, paths or tracebacks."""

    kind: Kind
    detail: str = ""


DETAIL_MAX = 120
_SAFE = re.compile(r"[^A-Za-z0-9_.:\- ]")
_NOT_IMAGES = ("PIL.UnidentifiedImageError", "PIL.Image.DecompressionBombError")
_MODEL_FIELD = re.compile(r"^(?!sampler_name)\w*(_name\d*|model\w*|ckpt\w*|vae|lora\w*)$")
_LOADERS_OF_INPUT = frozenset({"LoadImage", "LoadImageMask", "LoadVideo", "LoadAudio"})
_STOPPED_WORKERS = ("SystemExit", "KeyboardInterrupt")


def safe(text: object) -> str:
    """A name of ComfyUI's as a short plain word: it may travel and be logged."""
    return _SAFE.sub("", str(text))[:DETAIL_MAX]


def of_refusal(status: int, body: Mapping[str, Any]) -> Failure:
    """What a POST /prompt refused with 400 (or 413) means."""
    if status == 413:  # noqa: PLR2004 - the status's own number
        return Failure(kind=Kind.TOO_LARGE, detail="request too large")
    error = body.get("error")
    kind = safe(error.get("type", "")) if isinstance(error, Mapping) else safe(status)
    if kind in {"missing_node_type", "invalid_prompt"}:
        return Failure(kind=Kind.MISSING_MODEL, detail=kind)
    found = list(_node_errors(body.get("node_errors")))
    if any(item == "custom_validation_failed" for item, _ in found):
        return Failure(kind=Kind.INPUT_REJECTED, detail="input file not accepted")
    missing = [name for item, name in found if item == "value_not_in_list" and _is_model(name)]
    if missing:
        return Failure(kind=Kind.MISSING_MODEL, detail=f"value_not_in_list {missing[0]}")
    first = found[0][0] if found else kind
    return Failure(kind=Kind.VALIDATION, detail=first)


def _is_model(field: str) -> bool:
    return bool(_MODEL_FIELD.match(field))


def _node_errors(node_errors: object) -> list[tuple[str, str]]:
    """(error type, input name) of every complaint in a 400's or 200's node_errors."""
    if not isinstance(node_errors, Mapping):
        return []
    found = []
    for node in node_errors.values():
        for error in node.get("errors", ()) if isinstance(node, Mapping) else ():
            details = str(error.get("details", ""))
            name = re.match(r"\w+", details)
            found.append((safe(error.get("type", "")), safe(name.group() if name else "")))
    return found


def of_partial(node_errors: Mapping[str, Any]) -> Failure:
    """A 200 that hides broken outputs is as final as a 400."""
    found = of_refusal(400, {"error": {"type": "partial"}, "node_errors": node_errors})
    if found.kind == Kind.VALIDATION:
        return Failure(kind=Kind.PARTIAL_VALIDATION, detail=found.detail)
    return found


def of_execution_error(error: Mapping[str, Any]) -> Failure:
    """What an `execution_error` message means."""
    name = safe(error.get("exception_type", ""))
    message = str(error.get("exception_message", ""))
    node = safe(error.get("node_type", ""))
    detail = f"{name} in {node}"
    if "OutOfMemoryError" in name and "PIL" not in name:
        return Failure(kind=Kind.OUT_OF_MEMORY, detail=detail)
    if "AcceleratorError" in name or _is_cuda(message):
        return Failure(kind=Kind.CUDA_BROKEN, detail=detail)
    if "Errno 28" in message or "No space left" in message:
        return Failure(kind=Kind.DISK_FULL, detail=detail)
    if name.endswith("FileNotFoundError") and node in _LOADERS_OF_INPUT:
        return Failure(kind=Kind.INPUT_GONE, detail=detail)
    if name in _NOT_IMAGES or (name.startswith("av.error.") and node in _LOADERS_OF_INPUT):
        return Failure(kind=Kind.BAD_INPUT, detail=detail)
    if name in _STOPPED_WORKERS:
        return Failure(kind=Kind.ZOMBIE, detail=detail)
    return Failure(kind=Kind.NODE_ERROR, detail=detail)


def _is_cuda(message: str) -> bool:
    return (
        message.startswith("CUDA error:")
        or "illegal memory access" in message
        or "device-side assert" in message
    )
