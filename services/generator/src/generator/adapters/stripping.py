"""Results without metadata: images re-saved, videos in a fresh container. Runs in a thread."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec

from generator.adapters import mp4, webm
from generator.adapters.clips import ClipError
from generator.domain.errors import AttemptFailedError
from generator.domain.failures import Failure, Kind

if TYPE_CHECKING:
    from PIL import Image

RESULT_PIXELS_MAX = 200_000_000
PREVIEW_SIDE_MAX = 320
PREVIEW_BYTES_MAX = 30_000
PREVIEW_QUALITIES = (75, 55, 35, 20)
JPEG_QUALITY = 95
WEBP_QUALITY = 90
PNG_COMPRESSION = 3
"""Level 3 costs a third of level 6's time for a few percent more bytes."""
_MIMES = {
    "PNG": ("image/png", "png"),
    "JPEG": ("image/jpeg", "jpg"),
    "WEBP": ("image/webp", "webp"),
}
_VIDEO_MIMES = {"mp4": "video/mp4", "webm": "video/webm"}


class Stripped(msgspec.Struct, frozen=True, kw_only=True):
    body: bytes
    mime: str
    extension: str
    width: int
    height: int
    duration_seconds: float = 0.0


def strip(body: bytes, kind: str, filename: str) -> Stripped:
    """Raises AttemptFailedError when the bytes are not a whole image or video.

    Pillow is imported with the first result: it weighs more than all else here.
    """
    from PIL.Image import DecompressionBombError

    try:
        if kind == "video" and not filename.lower().endswith((".webp", ".png", ".gif")):
            return _strip_video(body)
        return _strip_image(body)
    except ClipError as error:
        raise AttemptFailedError(Failure(kind=Kind.OUTPUT_DAMAGED, detail=str(error))) from error
    except (
        OSError,  # Pillow's word for a truncated file
        DecompressionBombError,
        SyntaxError,  # Pillow's word for a broken PNG
        ValueError,
        IndexError,
        MemoryError,
    ) as error:
        failure = Failure(kind=Kind.OUTPUT_DAMAGED, detail=type(error).__name__)
        raise AttemptFailedError(failure) from error


def _strip_image(body: bytes) -> Stripped:
    from PIL import Image

    with Image.open(io.BytesIO(body)) as image:
        if image.width * image.height > RESULT_PIXELS_MAX:
            raise ValueError("too many pixels")
        frames = getattr(image, "n_frames", 1)
        image_format = image.format if image.format in _MIMES else "PNG"
        duration = int(image.info.get("duration", 0))
        image.load()
        target = io.BytesIO()
        if frames > 1 and image_format == "WEBP":
            image.save(target, "WEBP", save_all=True, quality=WEBP_QUALITY, exif=b"", xmp=b"")
        else:
            _save_bare(image, image_format or "PNG", target)
        mime, extension = _MIMES[image_format or "PNG"]
        return Stripped(
            body=target.getvalue(),
            mime=mime,
            extension=extension,
            width=image.width,
            height=image.height,
            duration_seconds=duration * frames / 1000 if frames > 1 else 0.0,
        )


def _save_bare(image: Image.Image, image_format: str, target: io.BytesIO) -> None:
    from PIL import Image

    # A copy of the pixels alone: Pillow would write text chunks and EXIF of `info` back.
    pixels = image.convert("RGBA") if image.mode == "P" else image
    bare = Image.frombytes(pixels.mode, pixels.size, pixels.tobytes())
    match image_format:
        case "PNG":
            bare.save(target, "PNG", compress_level=PNG_COMPRESSION)
        case "JPEG":
            bare.save(target, "JPEG", quality=JPEG_QUALITY)
        case _:
            bare.save(target, "WEBP", quality=WEBP_QUALITY)


def _strip_video(body: bytes) -> Stripped:
    """Its frames and sounds in a fresh container: not one pixel is encoded again."""
    if body.startswith(webm.MAGIC):
        clip, extension = webm.without_metadata(body), "webm"
    else:
        clip, extension = mp4.without_metadata(body), "mp4"
    return Stripped(
        body=clip.body,
        mime=_VIDEO_MIMES[extension],
        extension=extension,
        width=clip.width,
        height=clip.height,
        duration_seconds=clip.duration_seconds,
    )


def small_preview(image: bytes) -> bytes:
    """A JPEG that fits a progress message; nothing when the frame cannot be read."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as opened:
            small = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    small.thumbnail((PREVIEW_SIDE_MAX, PREVIEW_SIDE_MAX))
    for quality in PREVIEW_QUALITIES:
        target = io.BytesIO()
        small.save(target, "JPEG", quality=quality)
        if target.tell() <= PREVIEW_BYTES_MAX:
            return target.getvalue()
    return b""
