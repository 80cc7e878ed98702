"""What Telegram's servers do to pictures and clips: sizes of a photo, facts of a video."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps

PHOTO_SIDES = (90, 320, 800, 1_280)
PIXELS_MAX = 50_000_000  # larger pictures travel as documents, like from a real client
SIDES_SUM_MAX = 10_000
RATIO_MAX = 20
QUALITY = 87

# The pixel cap above is checked from the header, before Pillow decodes anything.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class PictureError(ValueError):
    """The bytes are not a picture that can become a photo."""


@dataclass(slots=True)
class Size:
    width: int
    height: int
    data: bytes


@dataclass(slots=True)
class Clip:
    width: int = 0
    height: int = 0
    duration: int = 0


def photo_sizes(data: bytes) -> list[Size]:
    """The recompressed JPEG sizes of a photo, smallest first."""
    picture = _opened(data)
    width, height = picture.size
    if width + height > SIDES_SUM_MAX or max(width, height) > RATIO_MAX * min(width, height):
        raise PictureError("PHOTO_INVALID_DIMENSIONS")
    try:
        upright = ImageOps.exif_transpose(picture)
        flat = _without_alpha(upright)
    except (OSError, ValueError, SyntaxError) as error:
        raise PictureError("IMAGE_PROCESS_FAILED") from error
    longest = max(flat.size)
    sides = [side for side in PHOTO_SIDES if side < longest]
    if longest <= PHOTO_SIDES[-1]:
        sides.append(longest)
    return [_scaled(flat, side) for side in sides]


def thumbnail(data: bytes) -> Size | None:
    try:
        picture = _opened(data)
        picture.draft("RGB", (320, 320))
        return _scaled(_without_alpha(picture), min(320, max(picture.size)))
    except (PictureError, OSError, ValueError, SyntaxError):
        return None


def _opened(data: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError("IMAGE_PROCESS_FAILED") from error
    if picture.width * picture.height > PIXELS_MAX:
        raise PictureError("PHOTO_INVALID_DIMENSIONS")
    return picture


def _without_alpha(picture: Image.Image) -> Image.Image:
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def _scaled(picture: Image.Image, side: int) -> Size:
    ratio = side / max(picture.size)
    width = max(1, round(picture.width * ratio))
    height = max(1, round(picture.height * ratio))
    small = picture if ratio == 1 else picture.resize((width, height), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return Size(width, height, buffer.getvalue())


def clip_facts(data: bytes) -> Clip:
    import av

    try:
        with av.open(io.BytesIO(data), "r") as container:
            stream = next(iter(container.streams.video), None)
            seconds = (container.duration or 0) / 1_000_000
            width = stream.codec_context.width if stream else 0
            height = stream.codec_context.height if stream else 0
            return Clip(width, height, round(seconds))
    except (av.FFmpegError, ValueError):
        return Clip()
