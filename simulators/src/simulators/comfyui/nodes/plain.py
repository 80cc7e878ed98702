"""Nodes without pictures: primitives, PreviewAny, and the loaders whose model lists are empty."""

import json
from typing import Any

from simulators.comfyui.nodes.base import (
    SEED_MAX,
    Context,
    Input,
    Result,
    boolean,
    link,
    node,
    text,
)

PRIMITIVES = "utils/primitive"
MODULE = "comfy_extras.nodes_primitive"


def _pass(_context: Context, value: Any) -> Result:
    return Result((value,))


for _name, _kind, _input in (
    ("PrimitiveInt", "INT", Input("INT", {"min": -SEED_MAX, "max": SEED_MAX})),
    ("PrimitiveFloat", "FLOAT", Input("FLOAT", {"min": -1e18, "max": 1e18})),
    ("PrimitiveString", "STRING", text()),
    ("PrimitiveStringMultiline", "STRING", text(multiline=True)),
    ("PrimitiveBoolean", "BOOLEAN", boolean(default=False)),
):
    node(
        _name,
        required={"value": _input},
        returns=(_kind,),
        category=PRIMITIVES,
        module=MODULE,
    )(_pass)


@node(
    "PreviewAny",
    required={"source": link("*")},
    category="utils",
    output_node=True,
    module="comfy_extras.nodes_preview_any",
)
def preview_any(_context: Context, source: Any) -> Result:
    value = source if isinstance(source, str) else None
    if value is None:
        try:
            value = json.dumps(source, indent=4)
        except TypeError:
            value = str(source)
    return Result(ui={"text": [value]})


@node(
    "CheckpointLoaderSimple",
    required={"ckpt_name": Input("COMBO", choices=())},
    returns=("MODEL", "CLIP", "VAE"),
    category="loaders",
)
def checkpoint_loader_simple(_context: Context, ckpt_name: str) -> Result:  # noqa: ARG001
    raise AssertionError("no model name passes validation: the list is empty")
