"""Nodes that cut, turn, join and count pictures."""

import numpy as np

from simulators.comfyui.nodes.base import (
    MAX_RESOLUTION,
    Context,
    Image,
    Result,
    boolean,
    choice,
    integer,
    link,
    node,
)
from simulators.comfyui.nodes.pixels import repeat_to, scale, solid

MODULE = "comfy_extras.nodes_images"
BATCH = "image/batch"
TRANSFORM = "image/transform"
OFFSET = integer(0, 0, MAX_RESOLUTION)


@node(
    "ImageCrop",
    required={
        "image": link("IMAGE"),
        "width": integer(512, 1, MAX_RESOLUTION),
        "height": integer(512, 1, MAX_RESOLUTION),
        "x": OFFSET,
        "y": OFFSET,
    },
    returns=("IMAGE",),
    category=TRANSFORM,
    module=MODULE,
)
def image_crop(_context: Context, image: Image, width: int, height: int, x: int, y: int) -> Result:
    left = min(x, image.shape[2] - 1)
    top = min(y, image.shape[1] - 1)
    return Result((np.ascontiguousarray(image[:, top : top + height, left : left + width]),))


@node(
    "ImageFlip",
    required={
        "image": link("IMAGE"),
        "flip_method": choice("x-axis: vertically", "y-axis: horizontally"),
    },
    returns=("IMAGE",),
    category=TRANSFORM,
    module=MODULE,
)
def image_flip(_context: Context, image: Image, flip_method: str) -> Result:
    axis = 1 if flip_method.startswith("x") else 2
    return Result((np.ascontiguousarray(np.flip(image, axis)),))


@node(
    "ImageRotate",
    required={
        "image": link("IMAGE"),
        "rotation": choice("none", "90 degrees", "180 degrees", "270 degrees"),
    },
    returns=("IMAGE",),
    category=TRANSFORM,
    module=MODULE,
)
def image_rotate(_context: Context, image: Image, rotation: str) -> Result:
    quarters = ("none", "90 degrees", "180 degrees", "270 degrees").index(rotation)
    return Result((np.ascontiguousarray(np.rot90(image, k=-quarters, axes=(1, 2))),))


@node(
    "ImageBatch",
    required={"image1": link("IMAGE"), "image2": link("IMAGE")},
    returns=("IMAGE",),
    category=BATCH,
)
def image_batch(_context: Context, image1: Image, image2: Image) -> Result:
    _, height, width, _ = image1.shape
    return Result((np.concatenate([image1, scale(image2, width, height, "bilinear", "center")]),))


@node(
    "RepeatImageBatch",
    required={"image": link("IMAGE"), "amount": integer(1, 1, 4096)},
    returns=("IMAGE",),
    category=BATCH,
    module=MODULE,
)
def repeat_image_batch(_context: Context, image: Image, amount: int) -> Result:
    return Result((repeat_to(image, image.shape[0] * amount),))


@node(
    "ImageFromBatch",
    required={
        "image": link("IMAGE"),
        "batch_index": integer(0, 0, 4095),
        "length": integer(1, 1, 4096),
    },
    returns=("IMAGE",),
    category=BATCH,
    module=MODULE,
)
def image_from_batch(_context: Context, image: Image, batch_index: int, length: int) -> Result:
    start = min(image.shape[0] - 1, batch_index)
    return Result((image[start : start + length],))


def _matched(first: Image, second: Image, *, sideways: bool) -> Image:
    """The second picture at the first one's height (side by side) or width (stacked)."""
    _, height, width, _ = first.shape
    ratio = height / second.shape[1] if sideways else width / second.shape[2]
    size = round(second.shape[2] * ratio), round(second.shape[1] * ratio)
    return scale(second, size[0], size[1], "lanczos", "disabled")


def _padded(images: Image, height: int, width: int, color: int, sideways: bool) -> Image:
    """Centred on a canvas as tall (side by side) or as wide (stacked) as the bigger picture."""
    size = (images.shape[2], height) if sideways else (width, images.shape[1])
    canvas = repeat_to(solid(size[0], size[1], color), len(images)).copy()
    top, left = (size[1] - images.shape[1]) // 2, (size[0] - images.shape[2]) // 2
    canvas[:, top : top + images.shape[1], left : left + images.shape[2]] = images[..., :3]
    return canvas


@node(
    "ImageStitch",
    required={
        "image1": link("IMAGE"),
        "direction": choice("right", "down", "left", "up"),
        "match_image_size": boolean(default=True),
        "spacing_width": integer(0, 0, 1024, 2),
        "spacing_color": choice("white", "black", "red", "green", "blue"),
    },
    optional={"image2": link("IMAGE")},
    returns=("IMAGE",),
    category=TRANSFORM,
    module=MODULE,
)
def image_stitch(
    _context: Context,
    image1: Image,
    direction: str,
    match_image_size: bool,
    spacing_width: int,
    spacing_color: str,
    image2: Image | None = None,
) -> Result:
    if image2 is None:
        return Result((image1,))
    count = max(len(image1), len(image2))
    first, second = repeat_to(image1, count), repeat_to(image2, count)
    _, height, width, _ = first.shape
    sideways = direction in {"right", "left"}
    colors = {"white": 0xFFFFFF, "black": 0, "red": 0xFF0000, "green": 0xFF00, "blue": 0xFF}
    color = colors[spacing_color]
    if match_image_size:
        second = _matched(first, second, sideways=sideways)
    else:
        tallest = max(height, second.shape[1]), max(width, second.shape[2])
        first, second = (_padded(part, *tallest, color, sideways) for part in (first, second))
        _, height, width, _ = first.shape
    gap = (spacing_width, height) if sideways else (width, spacing_width)
    parts = [first, second] if direction in {"right", "down"} else [second, first]
    if spacing_width:
        parts.insert(1, repeat_to(solid(gap[0], gap[1], color), count))
    return Result((np.concatenate(parts, axis=2 if sideways else 1),))


@node(
    "GetImageSize",
    required={"image": link("IMAGE")},
    returns=("INT", "INT", "INT"),
    names=("width", "height", "batch_size"),
    module=MODULE,
)
def get_image_size(_context: Context, image: Image) -> Result:
    return Result((image.shape[2], image.shape[1], image.shape[0]))
