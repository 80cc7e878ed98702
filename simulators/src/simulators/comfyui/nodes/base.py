"""What a node is: its declared inputs and outputs, and the context it runs in."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# An IMAGE is uint8 (batch, height, width, channels), a MASK float32 (batch, height, width) in 0..1.
# ComfyUI keeps both as floats; 8 bits hold every picture it can save and cost a quarter of memory.
Image = NDArray[np.uint8]
Mask = NDArray[np.float32]

MAX_RESOLUTION = 16384
SEED_MAX = 0xFFFFFFFFFFFFFFFF


class InterruptedError_(Exception):  # noqa: N801, N818 - control flow: an interrupt reached a node
    """The interrupt flag was seen at a node boundary or a progress step."""


class ProcessKilledError(Exception):
    """The simulated process died while a node was running."""


class WorkerDeathError(Exception):
    """A node raised SystemExit: the worker thread ends, HTTP goes on."""


class NodeFailureError(Exception):
    """A node fails on purpose with the given wire type and message."""

    def __init__(self, exception_type: str, message: str) -> None:
        super().__init__(message)
        self.exception_type = exception_type


@dataclass(frozen=True)
class Preview:
    image: bytes
    mime: str = "image/jpeg"


class Files(Protocol):
    """The part of the storage nodes use."""

    def annotated(self, name: str) -> Any: ...

    def reserve(self, kind: str, prefix: str) -> tuple[Any, str, str, int]: ...


@dataclass
class Context:
    """One node's view of the run: files, metadata to embed, progress, time and interruption."""

    files: Files
    node_id: str
    graph: dict[str, Any]
    extra_pnginfo: dict[str, Any]
    time_scale: Callable[[], float]
    interrupted: threading.Event
    killed: threading.Event
    report: Callable[[int, int, Preview | None], None]
    disk_full: bool = False
    embed_metadata: bool = True

    def check_interrupt(self) -> None:
        if self.killed.is_set():
            raise ProcessKilledError
        if self.interrupted.is_set():
            self.interrupted.clear()
            raise InterruptedError_

    def progress(self, value: int, maximum: int, preview: Preview | None = None) -> None:
        self.check_interrupt()
        self.report(value, maximum, preview)

    def sleep(self, seconds: float) -> None:
        """Simulated work: uninterruptible like a kernel on a GPU, but it ends with the process."""
        if self.killed.wait(seconds * self.time_scale()):
            raise ProcessKilledError


@dataclass(frozen=True)
class Input:
    """One declared input: a link type, a widget type with limits, or a list of choices."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    choices: tuple[str, ...] | None = None
    files: bool = False
    modern: bool = False

    def config(self, file_names: Callable[[], list[str]]) -> list[Any]:
        """The `[type, options]` pair as /object_info shows it."""
        if self.files:
            return [file_names(), {"image_upload": True}]
        if self.choices is None:
            return [self.kind, self.options] if self.options else [self.kind]
        if self.modern:
            return ["COMBO", {**self.options, "options": list(self.choices)}]
        return [list(self.choices), self.options] if self.options else [list(self.choices)]


@dataclass(frozen=True)
class Result:
    outputs: tuple[Any, ...] = ()
    ui: dict[str, Any] | None = None


@dataclass(frozen=True)
class NodeType:
    name: str
    run: Callable[..., Result]
    required: dict[str, Input]
    optional: dict[str, Input]
    returns: tuple[str, ...]
    return_names: tuple[str, ...]
    category: str
    output_node: bool
    module: str

    def inputs(self) -> dict[str, Input]:
        return {**self.required, **self.optional}

    def describe(self, file_names: Callable[[], list[str]]) -> dict[str, Any]:
        """The class as /object_info/<name> shows it."""
        sections = {"required": self.required, "optional": self.optional}
        shown = {name: section for name, section in sections.items() if section or name[0] == "r"}
        return {
            "input": {
                section: {name: spec.config(file_names) for name, spec in specs.items()}
                for section, specs in shown.items()
            },
            "input_order": {section: list(specs) for section, specs in shown.items()},
            "output": list(self.returns),
            "output_is_list": [False] * len(self.returns),
            "output_name": list(self.return_names),
            "name": self.name,
            "display_name": self.name,
            "description": "",
            "python_module": self.module,
            "category": self.category,
            "output_node": self.output_node,
        }


REGISTRY: dict[str, NodeType] = {}


def node(
    name: str,
    *,
    required: dict[str, Input],
    optional: dict[str, Input] | None = None,
    returns: tuple[str, ...] = (),
    names: tuple[str, ...] | None = None,
    category: str = "image",
    output_node: bool = False,
    module: str = "nodes",
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Enter a function into the registry as a node class."""

    def enter(run: Callable[..., Result]) -> Callable[..., Result]:
        REGISTRY[name] = NodeType(
            name=name,
            run=run,
            required=required,
            optional=optional or {},
            returns=returns,
            return_names=names or returns,
            category=category,
            output_node=output_node,
            module=module,
        )
        return run

    return enter


def link(kind: str) -> Input:
    return Input(kind)


def integer(default: int, low: int, high: int, step: int = 1) -> Input:
    return Input("INT", {"default": default, "min": low, "max": high, "step": step})


def number(default: float, low: float, high: float, step: float) -> Input:
    return Input("FLOAT", {"default": default, "min": low, "max": high, "step": step})


def text(default: str = "", *, multiline: bool = False) -> Input:
    return Input("STRING", {"default": default, **({"multiline": True} if multiline else {})})


def boolean(*, default: bool) -> Input:
    return Input("BOOLEAN", {"default": default})


def choice(*choices: str, default: str | None = None, modern: bool = False) -> Input:
    options = {} if default is None else {"default": default}
    return Input("COMBO", options, choices=choices, modern=modern)
