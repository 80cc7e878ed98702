"""The node classes this server knows; importing the package fills the registry."""

from simulators.comfyui.nodes import (
    arrange,
    images,
    load,
    masks,
    plain,
    save,
    testnodes,
    video,
)
from simulators.comfyui.nodes.base import REGISTRY, NodeType

__all__ = [
    "REGISTRY",
    "NodeType",
    "arrange",
    "images",
    "load",
    "masks",
    "plain",
    "save",
    "testnodes",
    "video",
]
