"""Results without metadata: images re-saved, videos in a fresh container. Runs in a thread."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec

from generator.adapters import mp4, webm
from generator.adapters.clips import ClipError, lasting
from generator.domain.errors import AttemptFailedError
from generator.domain.failures import Failure, Kind

if TYPE_CHECKING:
    from PIL import Image

RESULT_PIXELS_MAX = 100_000_000
"""400 MiB while it is open, beside its file before and after: within the chart's limit of 1 GiB."""
FRAME_PIXELS_MAX = 16_000_000
"""Of an animation, of which an encoder holds several at a time."""
ANIMATION_PIXELS_MAX = 4_000_000_000
"""Of all its frames: two minutes of 1080p, and of an encoder's time."""
UNTOLD_MS = 100
"""As long as a browser shows a frame of no time."""
LOOPS_MAX = 65_535
PREVIEW_SIDE_MAX = 320
PREVIEW_PIXELS_MAX = 16_000_000
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
_READ = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What nodes save as. Pillow would try forty formats more, and some with programs of others."""
_MOVING = frozenset({"PNG", "GIF", "WEBP"})
_UNREADABLE = (
    OSError,  # Pillow's word for a truncated file
    SyntaxError,  # Pillow's word for a broken PNG
    RuntimeError,  # the word of WebP's encoder, for a frame it was promised in another size
    ValueError,
    IndexError,
    EOFError,
    MemoryError,
)
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
        return _strip_image(body, moves=kind == "video")
    except ClipError as error:
        raise AttemptFailedError(Failure(kind=Kind.OUTPUT_DAMAGED, detail=str(error))) from error
    except (*_UNREADABLE, DecompressionBombError) as error:
        failure = Failure(kind=Kind.OUTPUT_DAMAGED, detail=type(error).__name__)
        raise AttemptFailedError(failure) from error


def _strip_image(body: bytes, *, moves: bool) -> Stripped:
    from PIL import Image

    with Image.open(io.BytesIO(body), formats=_READ) as image:
        width, height = image.size
        if width * height > RESULT_PIXELS_MAX:
            raise ClipError("too many pixels")
        moving = _MOVING if moves else {"WEBP"}
        if image.format in moving and getattr(image, "n_frames", 1) > 1:
            return _strip_animation(image)
        image_format = image.format if image.format in _MIMES else "PNG"
        image.load()  # also what comes after the pixels
        target = io.BytesIO()
        _save_bare(image, image_format or "PNG", target)
    mime, extension = _MIMES[image_format or "PNG"]
    return Stripped(
        body=target.getvalue(), mime=mime, extension=extension, width=width, height=height
    )


def _strip_animation(image: Image.Image) -> Stripped:
    """As WebP, whatever it was: a phone plays that, and every frame stays as long as it did."""
    frames = getattr(image, "n_frames", 1)
    pixels = image.width * image.height
    if pixels > FRAME_PIXELS_MAX or pixels * frames > ANIMATION_PIXELS_MAX:
        raise ClipError("too many pixels")
    lasts = [_lasts(image, frame) for frame in range(frames)]
    seconds, loop = lasting(sum(lasts) / 1000), min(_told(image, "loop", 1), LOOPS_MAX)
    target = io.BytesIO()
    # A colour behind all frames is shown by nobody, and may be one that cannot be written.
    bare = {"exif": b"", "xmp": b"", "icc_profile": b"", "background": (0, 0, 0, 0)}
    image.save(
        target, "WEBP", save_all=True, quality=WEBP_QUALITY, duration=lasts, loop=loop, **bare
    )
    mime, extension = _MIMES["WEBP"]
    return Stripped(
        body=target.getvalue(),
        mime=mime,
        extension=extension,
        width=image.width,
        height=image.height,
        duration_seconds=seconds,
    )


def _lasts(image: Image.Image, frame: int) -> int:
    """Milliseconds, which a WebP tells with its pixels."""
    image.seek(frame)
    image.load()
    return _told(image, "duration", 0) or UNTOLD_MS


def _told(image: Image.Image, name: str, default: int) -> int:
    """A number of the format's own: a text of a PNG stands in the same place, under any name."""
    value = image.info.get(name, default)
    return round(value) if isinstance(value, int | float) else default


def _save_bare(image: Image.Image, image_format: str, target: io.BytesIO) -> None:
    # Not a copy of the pixels: of a picture of 100 megapixels each takes 400 MiB.
    bare = image.convert("RGBA") if image.mode == "P" else image
    # Pillow would write text chunks, comments, EXIF and profiles of `info` back.
    bare.info.clear()
    nothing = {"exif": b"", "icc_profile": b"", "xmp": b""}
    match image_format:
        case "PNG":
            bare.save(target, "PNG", compress_level=PNG_COMPRESSION, **nothing)
        case "JPEG":
            bare.save(target, "JPEG", quality=JPEG_QUALITY, **nothing)
        case _:
            bare.save(target, "WEBP", quality=WEBP_QUALITY, **nothing)


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
        with Image.open(io.BytesIO(image), formats=_READ) as opened:
            if opened.width * opened.height > PREVIEW_PIXELS_MAX:
                return b""
            small = opened.convert("RGB")
    except (*_UNREADABLE, Image.DecompressionBombError):
        return b""
    small.thumbnail((PREVIEW_SIDE_MAX, PREVIEW_SIDE_MAX))
    for quality in PREVIEW_QUALITIES:
        target = io.BytesIO()
        small.save(target, "JPEG", quality=quality)
        if target.tell() <= PREVIEW_BYTES_MAX:
            return target.getvalue()
    return b""
