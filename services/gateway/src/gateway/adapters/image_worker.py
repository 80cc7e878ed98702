"""The process that opens pictures of strangers: Pillow is imported only here.

It reads one JSON request a line and answers one JSON line; it is killed when it takes too long.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Only these decoders may run: the rarer ones are where the holes are found."""
JPEG_QUALITY = 95
THUMBNAIL_SIDE = 320
NICENESS = 10
OPAQUE = 255
ANIMATED = "animated"
DAMAGED = "damaged"
NOT_AN_IMAGE = "not_an_image"
TOO_MANY_PIXELS = "too_many_pixels"


class NotTakenError(Exception):
    """The file is refused; the code says why."""


def check(request: dict[str, Any]) -> dict[str, Any]:
    """Read the header first, then decode, turn upright, strip and write anew."""
    image = _open(Path(request["source"]))
    width, height = image.size
    if width * height > request["pixels_max"] or max(width, height) > request["side_max"]:
        raise NotTakenError(TOO_MANY_PIXELS)
    if getattr(image, "n_frames", 1) > 1:
        raise NotTakenError(ANIMATED)
    try:
        image.load()
        upright = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        raise NotTakenError(DAMAGED) from error
    clean = _flat(upright)
    main = _write(clean, Path(request["target"]))
    clean.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return {"image": main, "thumbnail": _write(clean, Path(request["thumbnail"]))}


def _open(source: Path) -> Image.Image:
    try:
        return Image.open(source, formats=FORMATS)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise NotTakenError(NOT_AN_IMAGE) from error
    except Image.DecompressionBombError as error:
        raise NotTakenError(TOO_MANY_PIXELS) from error


def _flat(image: Image.Image) -> Image.Image:
    """RGB, or RGBA where something is really transparent; a fresh image carries no metadata."""
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if transparent:
        colours = image.convert("RGBA")
        if colours.getchannel("A").getextrema() != (OPAQUE, OPAQUE):
            clean = Image.new("RGBA", colours.size)
            clean.paste(colours)
            return clean
        image = colours
    clean = Image.new("RGB", image.size)
    clean.paste(image.convert("RGB"))
    return clean


def _write(image: Image.Image, target: Path) -> dict[str, Any]:
    if image.mode == "RGBA":
        kind, mime = "PNG", "image/png"
        image.save(target, kind, compress_level=3)
    else:
        kind, mime = "JPEG", "image/jpeg"
        image.save(target, kind, quality=JPEG_QUALITY)
    data = target.read_bytes()
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "mime": mime,
        "width": image.width,
        "height": image.height,
    }


def main() -> None:
    """Serve until standard input ends; a parent that dies ends it as well."""
    memory = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)
    # A header that announces a bomb is refused by our own cap, before Pillow's warning.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = None
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            answer = check(request)
        except NotTakenError as refusal:
            answer = {"error": str(refusal)}
        except MemoryError:
            answer = {"error": TOO_MANY_PIXELS}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
