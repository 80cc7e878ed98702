"""The test nodes of the recorded server: steps with previews, blocking, every way of failing."""

import io
from typing import Any

from simulators.comfyui.nodes.base import (
    SEED_MAX,
    Context,
    Image,
    Input,
    NodeFailureError,
    Preview,
    ProcessKilledError,
    Result,
    WorkerDeathError,
    boolean,
    choice,
    integer,
    link,
    node,
    number,
)
from simulators.comfyui.nodes.pixels import frames

CATEGORY = "testing"
MODULE = "custom_nodes.gen_testnodes"
PREVIEW_SIZE = (512, 512)
SEED = integer(0, 0, SEED_MAX)
FAILURES = (
    "value_error",
    "oom",
    "cuda_error",
    "file_not_found",
    "system_exit",
    "hard_exit",
    "segfault",
    "none_result",
)
OOM_MESSAGE = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 23.65 GiB "
    "of which 1.00 GiB is free.\n"
    "This error means you ran out of memory on your GPU.\n\n"
    "TIPS: If the workflow worked before you might have accidentally set the batch_size to a "
    "large number."
)
CUDA_MESSAGE = "CUDA error: an illegal memory access was encountered\n"


class HardExitError(Exception):
    """A node called os._exit: the whole process is gone."""


def preview_of(images: Image) -> Preview:
    picture = frames(images[:1, :, :, :3])[0]
    picture.thumbnail(PREVIEW_SIZE)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=95)
    return Preview(buffer.getvalue())


@node(
    "GenTestSteps",
    required={
        "image": link("IMAGE"),
        "seed": SEED,
        "steps": integer(5, 1, 100_000),
        "step_s": number(0.1, 0.0, 3600.0, 0.001),
        "preview": boolean(default=True),
    },
    returns=("IMAGE",),
    category=CATEGORY,
    module=MODULE,
)
def gen_test_steps(
    context: Context,
    image: Image,
    seed: int,  # noqa: ARG001 - it varies the cache signature, nothing else
    steps: int,
    step_s: float,
    preview: bool,
) -> Result:
    shown = preview_of(image) if preview else None
    for step in range(1, steps + 1):
        context.sleep(step_s)
        context.progress(step, steps, shown)
    return Result((image,))


@node(
    "GenTestBlock",
    required={
        "image": link("IMAGE"),
        "seed": SEED,
        "seconds": number(2.0, 0.0, 3600.0, 0.001),
    },
    returns=("IMAGE",),
    category=CATEGORY,
    module=MODULE,
)
def gen_test_block(context: Context, image: Image, seed: int, seconds: float) -> Result:  # noqa: ARG001
    context.sleep(seconds)
    return Result((image,))


def fail(kind: str, message: str | None = None) -> None:
    """Raise what the named failure looks like from inside a node."""
    match kind:
        case "value_error":
            raise NodeFailureError("ValueError", message or "deliberate failure\n")
        case "oom":
            raise NodeFailureError("torch.OutOfMemoryError", message or OOM_MESSAGE)
        case "cuda_error":
            raise NodeFailureError("RuntimeError", message or CUDA_MESSAGE)
        case "file_not_found":
            missing = "[Errno 2] No such file or directory: 'missing.bin'\n"
            raise NodeFailureError("FileNotFoundError", message or missing)
        case "system_exit":
            raise WorkerDeathError
        case "hard_exit" | "segfault":
            raise HardExitError
        case "killed":
            raise ProcessKilledError
        case _:
            raise NodeFailureError("TypeError", "'NoneType' object is not subscriptable\n")


@node(
    "GenTestFail",
    required={"image": link("IMAGE"), "kind": choice(*FAILURES), "seed": SEED},
    returns=("IMAGE",),
    category=CATEGORY,
    module=MODULE,
)
def gen_test_fail(_context: Context, image: Image, kind: str, seed: int) -> Result:  # noqa: ARG001
    fail(kind)
    raise AssertionError("every kind of failure raises")


@node(
    "GenTestNeedsModel",
    required={"image": link("IMAGE"), "ckpt_name": Input("COMBO", choices=())},
    returns=("IMAGE",),
    category=CATEGORY,
    module=MODULE,
)
def gen_test_needs_model(_context: Context, image: Image, ckpt_name: str) -> Result:  # noqa: ARG001
    raise AssertionError("no model name passes validation: the list is empty")


def is_test_node(class_type: Any) -> bool:
    return isinstance(class_type, str) and class_type.startswith("GenTest")
