"""Nodes around masks and compositing."""

from typing import Any

import numpy as np

from simulators.comfyui.nodes.base import (
    MAX_RESOLUTION,
    Context,
    Image,
    Mask,
    Result,
    boolean,
    choice,
    integer,
    link,
    node,
    number,
)
from simulators.comfyui.nodes.pixels import (
    repeat_mask_to,
    repeat_to,
    scale,
    scale_mask,
    solid,
    to_bytes,
    to_mask,
)

MODULE = "comfy_extras.nodes_mask"
CATEGORY = "mask"
OFFSET = integer(0, 0, MAX_RESOLUTION)
SIZE = integer(512, 1, MAX_RESOLUTION)
CHANNELS = ("red", "green", "blue", "alpha")


@node(
    "SolidMask",
    required={"value": number(1.0, 0.0, 1.0, 0.01), "width": SIZE, "height": SIZE},
    returns=("MASK",),
    category=CATEGORY,
    module=MODULE,
)
def solid_mask(_context: Context, value: float, width: int, height: int) -> Result:
    return Result((np.full((1, height, width), value, dtype=np.float32),))


@node(
    "InvertMask",
    required={"mask": link("MASK")},
    returns=("MASK",),
    category=CATEGORY,
    module=MODULE,
)
def invert_mask(_context: Context, mask: Mask) -> Result:
    return Result((np.float32(1) - mask,))


@node(
    "CropMask",
    required={"mask": link("MASK"), "x": OFFSET, "y": OFFSET, "width": SIZE, "height": SIZE},
    returns=("MASK",),
    category=CATEGORY,
    module=MODULE,
)
def crop_mask(_context: Context, mask: Mask, x: int, y: int, width: int, height: int) -> Result:
    return Result((mask[:, y : y + height, x : x + width],))


def _combine(target: Mask, source: Mask, operation: str) -> Mask:
    match operation:
        case "multiply":
            return target * source
        case "add":
            return target + source
        case "subtract":
            return target - source
    bits: Any = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[operation]
    combined: Mask = bits(target.round().astype(bool), source.round().astype(bool))
    return combined.astype(np.float32)


@node(
    "MaskComposite",
    required={
        "destination": link("MASK"),
        "source": link("MASK"),
        "x": OFFSET,
        "y": OFFSET,
        "operation": choice("multiply", "add", "subtract", "and", "or", "xor"),
    },
    returns=("MASK",),
    category=CATEGORY,
    module=MODULE,
)
def mask_composite(
    _context: Context, destination: Mask, source: Mask, x: int, y: int, operation: str
) -> Result:
    output = destination.copy()
    target = output[:, y : y + source.shape[1], x : x + source.shape[2]]
    part = source[:, : target.shape[1], : target.shape[2]]
    target[...] = np.clip(_combine(target, part, operation), 0, 1)
    return Result((output,))


@node(
    "FeatherMask",
    required={
        "mask": link("MASK"),
        "left": OFFSET,
        "top": OFFSET,
        "right": OFFSET,
        "bottom": OFFSET,
    },
    returns=("MASK",),
    category=CATEGORY,
    module=MODULE,
)
def feather_mask(
    _context: Context, mask: Mask, left: int, top: int, right: int, bottom: int
) -> Result:
    output = mask.copy()
    _, height, width = output.shape
    left, right = min(left, width), min(right, width)
    top, bottom = min(top, height), min(bottom, height)

    def ramp(length: int) -> Mask:
        return (np.arange(length, dtype=np.float32) + 1) / np.float32(max(length, 1))

    output[:, :, :left] *= ramp(left)
    output[:, :, width - right :] *= ramp(right)[::-1]
    output[:, :top, :] *= ramp(top)[:, None]
    output[:, height - bottom :, :] *= ramp(bottom)[::-1, None]
    return Result((output,))


@node(
    "GrowMask",
    required={
        "mask": link("MASK"),
        "expand": integer(0, -MAX_RESOLUTION, MAX_RESOLUTION),
        "tapered_corners": boolean(default=True),
    },
    returns=("MASK",),
    category=CATEGORY,
    module=MODULE,
)
def grow_mask(_context: Context, mask: Mask, expand: int, tapered_corners: bool) -> Result:
    pick = np.maximum if expand > 0 else np.minimum
    reach = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    if not tapered_corners:
        reach += [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    grown = mask
    for _ in range(abs(expand)):
        around = np.pad(grown, ((0, 0), (1, 1), (1, 1)), mode="edge")
        rows, columns = grown.shape[1:]
        for down, across in reach:
            shifted = around[:, 1 + down : 1 + down + rows, 1 + across : 1 + across + columns]
            grown = pick(grown, shifted)
    return Result((grown,))


@node(
    "ThresholdMask",
    required={"mask": link("MASK"), "value": number(0.5, 0.0, 1.0, 0.01)},
    returns=("MASK",),
    category=CATEGORY,
    module=MODULE,
)
def threshold_mask(_context: Context, mask: Mask, value: float) -> Result:
    return Result(((mask > value).astype(np.float32),))


@node(
    "MaskToImage",
    required={"mask": link("MASK")},
    returns=("IMAGE",),
    category=CATEGORY,
    module=MODULE,
)
def mask_to_image(_context: Context, mask: Mask) -> Result:
    return Result((np.repeat(to_bytes(mask)[..., None], 3, axis=3),))


@node(
    "ImageToMask",
    required={"image": link("IMAGE"), "channel": choice(*CHANNELS)},
    returns=("MASK",),
    category=CATEGORY,
    module=MODULE,
)
def image_to_mask(_context: Context, image: Image, channel: str) -> Result:
    return Result((to_mask(image[:, :, :, CHANNELS.index(channel)]),))


@node(
    "ImageCompositeMasked",
    required={
        "destination": link("IMAGE"),
        "source": link("IMAGE"),
        "x": OFFSET,
        "y": OFFSET,
        "resize_source": boolean(default=False),
    },
    optional={"mask": link("MASK")},
    returns=("IMAGE",),
    module=MODULE,
)
def image_composite_masked(
    _context: Context,
    destination: Image,
    source: Image,
    x: int,
    y: int,
    resize_source: bool,
    mask: Mask | None = None,
) -> Result:
    output = destination.copy()
    count, height, width, _ = output.shape
    if resize_source:
        source = scale(source, width, height, "bilinear", "disabled")
    source = repeat_to(source, count)
    x, y = min(x, width), min(y, height)
    target = output[:, y : y + source.shape[1], x : x + source.shape[2]]
    part = source[:, : target.shape[1], : target.shape[2]]
    if mask is None:
        target[...] = part
        return Result((output,))
    weights = scale_mask(mask, source.shape[2], source.shape[1])
    weights = repeat_mask_to(weights, count)[:, : target.shape[1], : target.shape[2], None]
    mixed = target + (part.astype(np.float32) - target) * np.clip(weights, 0, 1)
    target[...] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return Result((output,))


@node(
    "JoinImageWithAlpha",
    required={"image": link("IMAGE"), "alpha": link("MASK")},
    returns=("IMAGE",),
    category="mask/compositing",
    module="comfy_extras.nodes_compositing",
)
def join_image_with_alpha(_context: Context, image: Image, alpha: Mask) -> Result:
    count, height, width, _ = image.shape
    weights = repeat_mask_to(scale_mask(alpha, width, height), count)
    opacity = to_bytes(np.float32(1) - weights)[..., None]
    return Result((np.concatenate([image[..., :3], opacity], axis=3),))


@node(
    "ImagePadForOutpaint",
    required={
        "image": link("IMAGE"),
        "left": integer(0, 0, MAX_RESOLUTION, 8),
        "top": integer(0, 0, MAX_RESOLUTION, 8),
        "right": integer(0, 0, MAX_RESOLUTION, 8),
        "bottom": integer(0, 0, MAX_RESOLUTION, 8),
        "feathering": integer(40, 0, MAX_RESOLUTION),
    },
    returns=("IMAGE", "MASK"),
)
def image_pad_for_outpaint(
    _context: Context, image: Image, left: int, top: int, right: int, bottom: int, feathering: int
) -> Result:
    count, height, width, _ = image.shape
    canvas = repeat_to(solid(width + left + right, height + top + bottom, 0x7F7F7F), count).copy()
    canvas[:, top : top + height, left : left + width] = image[..., :3]
    mask = np.ones((1, *canvas.shape[1:3]), dtype=np.float32)
    inner = np.zeros((height, width), dtype=np.float32)
    if feathering > 0 and feathering * 2 < min(height, width):
        across, down = np.arange(width), np.arange(height)
        far = np.full(1, np.inf)
        distances = [
            (across if left else far)[None, :],
            (width - across if right else far)[None, :],
            (down if top else far)[:, None],
            (height - down if bottom else far)[:, None],
        ]
        nearest = np.full((height, width), np.inf)
        for distance in distances:
            nearest = np.minimum(nearest, distance)
        inner = np.clip((feathering - nearest) / feathering, 0, 1).astype(np.float32) ** 2
    mask[0, top : top + height, left : left + width] = inner
    return Result((canvas, mask))
