"""Pixel helpers the nodes share: Pillow in, numpy out."""

from collections.abc import Callable

import numpy as np
from PIL import Image as PillowImage

from simulators.comfyui.nodes.base import Image, Mask

RESAMPLING = {
    "nearest-exact": PillowImage.Resampling.NEAREST,
    "bilinear": PillowImage.Resampling.BILINEAR,
    "area": PillowImage.Resampling.BOX,
    "bicubic": PillowImage.Resampling.BICUBIC,
    "lanczos": PillowImage.Resampling.LANCZOS,
}


def frames(images: Image) -> list[PillowImage.Image]:
    return [PillowImage.fromarray(frame) for frame in images]


def stack(pictures: list[PillowImage.Image]) -> Image:
    return np.stack([np.asarray(picture) for picture in pictures])


def each(images: Image, change: Callable[[PillowImage.Image], PillowImage.Image]) -> Image:
    return stack([change(picture) for picture in frames(images)])


def scale(images: Image, width: int, height: int, method: str, crop: str) -> Image:
    """Resize a batch; with crop "center" the middle part of the right shape is taken first."""
    _, old_height, old_width, _ = images.shape
    left = top = 0
    if crop == "center":
        old_aspect, new_aspect = old_width / old_height, width / height
        if old_aspect > new_aspect:
            left = round((old_width - old_width * (new_aspect / old_aspect)) / 2)
        elif old_aspect < new_aspect:
            top = round((old_height - old_height * (old_aspect / new_aspect)) / 2)
    if left == top == 0 and (old_width, old_height) == (width, height):
        return images
    box = (left, top, old_width - left, old_height - top)
    return each(images, lambda p: p.resize((width, height), RESAMPLING[method], box=box))


def scale_mask(masks: Mask, width: int, height: int) -> Mask:
    if masks.shape[1:] == (height, width):
        return masks
    pictures = [PillowImage.fromarray(mask) for mask in masks.astype(np.float32)]
    size = (width, height)
    return np.stack([np.asarray(p.resize(size, RESAMPLING["bilinear"])) for p in pictures])


def repeat_to(images: Image, count: int) -> Image:
    """Exactly `count` frames: a longer batch is cut, a shorter one repeated from its start."""
    if images.shape[0] >= count:
        return images[:count]
    rounds = -(-count // images.shape[0])
    return np.concatenate([images] * rounds)[:count]


def repeat_mask_to(masks: Mask, count: int) -> Mask:
    if masks.shape[0] >= count:
        return masks[:count]
    rounds = -(-count // masks.shape[0])
    return np.concatenate([masks] * rounds)[:count]


def to_mask(channel: Image) -> Mask:
    return channel.astype(np.float32) / np.float32(255)


def to_bytes(values: np.ndarray) -> Image:
    """Floats 0..1 to 8 bits, clipped."""
    clipped: Image = (np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return clipped


def solid(width: int, height: int, color: int) -> Image:
    rgb = np.array([color >> 16 & 0xFF, color >> 8 & 0xFF, color & 0xFF], dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(rgb, (1, height, width, 3)))
