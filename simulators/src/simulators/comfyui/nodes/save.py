"""Nodes that write still and animated pictures, with the whole graph in their metadata."""

import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from simulators.comfyui.nodes.base import (
    Context,
    Image,
    NodeFailureError,
    Result,
    boolean,
    choice,
    integer,
    link,
    node,
    number,
    text,
)
from simulators.comfyui.nodes.pixels import frames
from simulators.comfyui.storage import OutsideFolderError

ANIMATION = "image/animation"
IMAGES_MODULE = "comfy_extras.nodes_images"
WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}
# EXIF tags in which ComfyUI keeps the graph of a WEBP.
EXIF_MODEL, EXIF_MAKE = 0x0110, 0x010F


def expand(prefix: str, width: int, height: int) -> str:
    """The placeholders ComfyUI knows inside a filename_prefix."""
    now = time.localtime()
    values = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for name, value in values.items():
        prefix = prefix.replace(f"%{name}%", value)
    return prefix


def reserve(context: Context, kind: str, prefix: str) -> tuple[Path, str, str, int]:
    """A place for a new file, or the errors a real server has when there is none."""
    if context.disk_full:
        raise NodeFailureError("OSError", "[Errno 28] No space left on device")
    try:
        folder, base, subfolder, counter = context.files.reserve(kind, prefix)
    except OutsideFolderError as error:
        message = f"**** ERROR: Saving image outside the output folder is not allowed. ({error})"
        raise NodeFailureError("Exception", message) from error
    return folder, base, subfolder, counter


def metadata(context: Context) -> dict[str, str]:
    """What a saved file carries: the whole graph, users' texts included, unless switched off."""
    if not context.embed_metadata:
        return {}
    embedded = {"prompt": json.dumps(context.graph)}
    for key, value in context.extra_pnginfo.items():
        embedded[key] = json.dumps(value)
    return embedded


def shown(filename: str, subfolder: str, kind: str, *, animated: bool = False) -> dict[str, Any]:
    """The `ui` part of a saving node: where its file is."""
    entry = {"filename": filename, "subfolder": subfolder, "type": kind}
    return {"images": [entry], "animated": [True]} if animated else {"images": [entry]}


def _save_png(
    context: Context, images: Image, kind: str, prefix: str, *, compress_level: int
) -> Result:
    width, height = images.shape[2], images.shape[1]
    place = reserve(context, kind, expand(prefix, width, height))
    folder, base, subfolder, counter = place
    info = PngInfo()
    for key, value in metadata(context).items():
        info.add_text(key, value)
    entries: list[dict[str, str]] = []
    for index, picture in enumerate(frames(images)):
        stem = base.replace("%batch_num%", str(index))
        filename = f"{stem}_{counter + index:05}_.png"
        picture.save(folder / filename, pnginfo=info, compress_level=compress_level)
        entries.append({"filename": filename, "subfolder": subfolder, "type": kind})
    return Result(ui={"images": entries})


@node(
    "SaveImage",
    required={"images": link("IMAGE"), "filename_prefix": text("ComfyUI")},
    output_node=True,
)
def save_image(context: Context, images: Image, filename_prefix: str) -> Result:
    # The real server says 4: half again as small, and three times the time nobody here has.
    return _save_png(context, images, "output", filename_prefix, compress_level=1)


@node("PreviewImage", required={"images": link("IMAGE")}, output_node=True)
def preview_image(context: Context, images: Image) -> Result:
    prefix = f"ComfyUI_temp_{secrets.token_hex(3)}"
    return _save_png(context, images, "temp", prefix, compress_level=1)


def _save_animation(
    context: Context,
    images: Image,
    prefix: str,
    suffix: str,
    write: Callable[[list[PillowImage.Image], Path], None],
) -> Result:
    prefix = expand(prefix, images.shape[2], images.shape[1])
    folder, base, subfolder, counter = reserve(context, "output", prefix)
    filename = f"{base}_{counter:05}_.{suffix}"
    write(frames(images), folder / filename)
    return Result(ui=shown(filename, subfolder, "output", animated=True))


@node(
    "SaveAnimatedWEBP",
    required={
        "images": link("IMAGE"),
        "filename_prefix": text("ComfyUI"),
        "fps": number(6.0, 0.01, 1000.0, 0.01),
        "lossless": boolean(default=True),
        "quality": integer(80, 0, 100),
        "method": choice(*WEBP_METHODS),
    },
    category=ANIMATION,
    output_node=True,
    module=IMAGES_MODULE,
)
def save_animated_webp(
    context: Context,
    images: Image,
    filename_prefix: str,
    fps: float,
    lossless: bool,
    quality: int,
    method: str,
) -> Result:
    def write(pictures: list[PillowImage.Image], path: Path) -> None:
        exif = pictures[0].getexif()
        for index, (key, value) in enumerate(metadata(context).items()):
            exif[EXIF_MODEL if index == 0 else EXIF_MAKE - index + 1] = f"{key}:{value}"
        pictures[0].save(
            path,
            save_all=True,
            append_images=pictures[1:],
            duration=int(1000.0 / fps),
            exif=exif,
            lossless=lossless,
            quality=quality,
            method=WEBP_METHODS[method],
        )

    return _save_animation(context, images, filename_prefix, "webp", write)


@node(
    "SaveAnimatedPNG",
    required={
        "images": link("IMAGE"),
        "filename_prefix": text("ComfyUI"),
        "fps": number(6.0, 0.01, 1000.0, 0.01),
        "compress_level": integer(4, 0, 9),
    },
    category=ANIMATION,
    output_node=True,
    module=IMAGES_MODULE,
)
def save_animated_png(
    context: Context, images: Image, filename_prefix: str, fps: float, compress_level: int
) -> Result:
    def write(pictures: list[PillowImage.Image], path: Path) -> None:
        info = PngInfo()
        for key, value in metadata(context).items():
            body = key.encode("latin-1", "strict") + b"\0" + value.encode("latin-1", "strict")
            info.add(b"comf", body, after_idat=True)
        pictures[0].save(
            path,
            pnginfo=info,
            compress_level=compress_level,
            save_all=True,
            duration=int(1000.0 / fps),
            append_images=pictures[1:],
        )

    return _save_animation(context, images, filename_prefix, "png", write)
