"""Pictures that move stay as they moved, and few bytes of a picture do not take all memory."""

import io
import resource
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from generator.adapters import stripping
from generator.adapters.stripping import small_preview, strip
from generator.domain.errors import AttemptFailedError

SECRET = "the graph with the person's words"
LASTS = [100, 200, 300, 40, 80]
FRAMES = [Image.new("RGB", (32, 32), (step * 40, 0, 0)) for step in range(len(LASTS))]


def saved(kind, frames=FRAMES, **options):
    target = io.BytesIO()
    frames[0].save(target, kind, save_all=True, append_images=frames[1:], **options)
    return target.getvalue()


def shown(body):
    """How often, and how long each frame in its colour."""
    with Image.open(io.BytesIO(body)) as image:
        found = []
        for frame in range(image.n_frames):
            image.seek(frame)
            red = image.convert("RGB").getpixel((9, 9))[0]
            found.append((red, image.info["duration"]))
        return image.info["loop"], found


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "PNG"])
def test_an_animation_keeps_its_pace_and_how_often_it_is_shown(kind):
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", SECRET)
    body = saved(kind, duration=LASTS, loop=3, comment=SECRET.encode(), pnginfo=info)

    stripped = strip(body, "video", "out.gif")

    loop, frames = shown(stripped.body)
    assert loop == 3
    assert [lasts for _, lasts in frames] == LASTS
    assert [red for red, _ in frames] == pytest.approx([0, 40, 80, 120, 160], abs=8)
    assert stripped.duration_seconds == sum(LASTS) / 1000
    assert (stripped.mime, stripped.extension) == ("image/webp", "webp")
    assert SECRET.encode() not in stripped.body


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_a_picture_that_was_ordered_stays_a_picture(kind):
    stripped = strip(saved(kind, duration=LASTS), "image", "out.png")

    assert (stripped.mime, stripped.duration_seconds) == ("image/png", 0.0)


def test_frames_of_no_time_are_shown_as_a_browser_does():
    stripped = strip(saved("GIF"), "video", "out.gif")

    assert stripped.duration_seconds == 0.5


@pytest.mark.parametrize("name", ["duration", "loop"])
@pytest.mark.parametrize("frames", [FRAMES, FRAMES[:1]], ids=["moves", "stands"])
def test_a_text_under_the_name_of_a_number_is_just_left_out(name, frames):
    info = PngImagePlugin.PngInfo()
    info.add_text(name, SECRET)

    stripped = strip(saved("PNG", frames, pnginfo=info), "video", "out.png")

    assert SECRET.encode() not in stripped.body


def test_a_frame_larger_than_its_animation_is_a_damaged_output():
    """The encoder of WebP has an error of its own for it."""
    body = bytearray(saved("WEBP", duration=100))
    at = body.index(b"VP8X") + 12
    body[at : at + 6] = b"\xff\x1f\0\xff\x1f\0"

    with pytest.raises(AttemptFailedError):
        strip(bytes(body), "video", "out.webp")


def test_an_animation_that_nobody_could_encode_in_time_is_refused(monkeypatch):
    monkeypatch.setattr(stripping, "ANIMATION_PIXELS_MAX", 5 * 32 * 32 - 1)

    with pytest.raises(AttemptFailedError, match="too many pixels"):
        strip(saved("GIF"), "video", "out.gif")


def one_colour(side):
    target = io.BytesIO()
    Image.new("RGB", (side, side), (7, 8, 9)).save(target, "PNG")
    return target.getvalue()


def test_a_picture_is_held_twice_at_most():
    side = 4_000
    body = one_colour(side)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + 8 * side * side + (16 << 20), before[1]))
    try:
        stripped = strip(body, "image", "out.png")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

    assert stripped.width == side


def test_more_pixels_than_memory_has_room_for_are_refused(monkeypatch):
    body = one_colour(100)
    assert strip(body, "image", "out.png")
    assert small_preview(body)
    for name in ("RESULT_PIXELS_MAX", "PREVIEW_PIXELS_MAX"):
        monkeypatch.setattr(stripping, name, 9_999)

    with pytest.raises(AttemptFailedError, match="too many pixels"):
        strip(body, "image", "out.png")
    assert small_preview(body) == b""


def test_formats_that_no_node_saves_are_not_tried():
    """Pillow opens PostScript with a program of others, where it finds one."""
    target = io.BytesIO()
    FRAMES[0].save(target, "EPS")

    with pytest.raises(AttemptFailedError, match="UnidentifiedImageError"):
        strip(target.getvalue(), "image", "out.png")
