"""How values and exceptions of a failed node are written into its execution_error."""

import numpy as np

from simulators.comfyui.nodes.base import NodeFailureError

EDGE = 3


def as_shown(value: object) -> object:
    """Plain values as they are, pictures and masks printed the way torch prints tensors."""
    if not isinstance(value, np.ndarray):
        return value if isinstance(value, str | int | float | bool | None) else str(value)
    scaled = value.astype(np.float32) / 255 if value.dtype == np.uint8 else value
    text = np.array2string(
        scaled, precision=4, separator=", ", edgeitems=EDGE, threshold=50, floatmode="fixed"
    )
    return "tensor(" + text.replace("\n", "\n       ") + ")"


def exception_name(error: Exception) -> str:
    """The class with its module, builtins bare, as ComfyUI names it on the wire."""
    if isinstance(error, NodeFailureError):
        return error.exception_type
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"
