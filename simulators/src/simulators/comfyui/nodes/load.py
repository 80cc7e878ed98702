"""Nodes that bring a picture in: LoadImage with ComfyUI's own ways of failing, EmptyImage."""

import io
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps, ImageSequence, UnidentifiedImageError

from simulators.comfyui.nodes.base import (
    MAX_RESOLUTION,
    Context,
    Image,
    Input,
    Mask,
    NodeFailureError,
    Result,
    choice,
    integer,
    node,
)
from simulators.comfyui.nodes.pixels import repeat_to, solid, stack, to_mask

# A real server needs some 35 bytes a pixel to load a picture; past this it runs out of memory.
PIXELS_MAX = 180_000_000
NO_MASK: Mask = np.zeros((1, 64, 64), dtype=np.float32)


def _open(path: Path) -> PillowImage.Image:
    try:
        body = path.read_bytes()
    except FileNotFoundError as error:
        message = f"[Errno 2] No such file or directory: '{path}'"
        raise NodeFailureError("av.error.FileNotFoundError", message) from error
    if not body:
        message = f"[Errno 1094995529] Invalid data found when processing input: '{path}'"
        raise NodeFailureError("av.error.InvalidDataError", message)
    if body.lstrip()[:5] in {b"<?xml", b"<svg ", b"<svg>"}:
        raise NodeFailureError("av.error.DecoderNotFoundError", "Decoder not found")
    try:
        picture = PillowImage.open(io.BytesIO(body))
    except UnidentifiedImageError as error:
        message = f"cannot identify image file '{path}'"
        raise NodeFailureError("PIL.UnidentifiedImageError", message) from error
    except PillowImage.DecompressionBombError as error:
        raise NodeFailureError("PIL.Image.DecompressionBombError", str(error)) from error
    if picture.width * picture.height > PIXELS_MAX:
        raise NodeFailureError("av.error.MemoryError", "[Errno 12] Cannot allocate memory")
    return picture


def _tolerant_load(picture: PillowImage.Image) -> None:
    """Decode; a truncated file gives the part that is there, as ComfyUI does."""
    try:
        picture.load()
    except OSError:
        # Pillow's own switch for this is global to the process, and the tests of others share it.
        setattr(picture, "tile", [])  # noqa: B010 - only file-backed pictures declare it
        picture.load()


def _upright(frame: PillowImage.Image) -> PillowImage.Image:
    turned = ImageOps.exif_transpose(frame)
    if turned.mode.startswith("I"):
        turned = PillowImage.fromarray((np.asarray(turned) / 257).astype(np.uint8))
    return turned


def decode(path: Path) -> tuple[Image, Mask]:
    picture = _open(path)
    pictures: list[PillowImage.Image] = []
    masks: list[Mask] = []
    for raw in ImageSequence.Iterator(picture):
        _tolerant_load(raw)
        frame = _upright(raw)
        if pictures and frame.size != pictures[0].size:
            continue
        pictures.append(frame.convert("RGB"))
        if "A" in frame.getbands() or "transparency" in frame.info:
            alpha = np.asarray(frame.convert("RGBA").getchannel("A"))
            masks.append(np.float32(1) - to_mask(alpha))
    mask = np.stack(masks) if masks and len(masks) == len(pictures) else NO_MASK
    return stack(pictures), mask


@node(
    "LoadImage",
    required={"image": Input("COMBO", choices=(), files=True)},
    returns=("IMAGE", "MASK"),
)
def load_image(context: Context, image: str) -> Result:
    return Result(decode(context.files.annotated(image)))


@node(
    "LoadImageMask",
    required={
        "image": Input("COMBO", choices=(), files=True),
        "channel": choice("alpha", "red", "green", "blue"),
    },
    returns=("MASK",),
    category="mask",
)
def load_image_mask(context: Context, image: str, channel: str) -> Result:
    pictures, alpha = decode(context.files.annotated(image))
    if channel == "alpha":
        return Result((alpha,))
    index = ("red", "green", "blue").index(channel)
    return Result((to_mask(pictures[:1, :, :, index]),))


@node(
    "EmptyImage",
    required={
        "width": integer(512, 1, MAX_RESOLUTION),
        "height": integer(512, 1, MAX_RESOLUTION),
        "batch_size": integer(1, 1, 4096),
        "color": Input("INT", {"default": 0, "min": 0, "max": 0xFFFFFF, "display": "color"}),
    },
    returns=("IMAGE",),
)
def empty_image(_context: Context, width: int, height: int, batch_size: int, color: int) -> Result:
    return Result((repeat_to(solid(width, height, color), batch_size),))
