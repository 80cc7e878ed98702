"""Results lose their metadata and nothing else."""

import io
import resource
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from generator.adapters import webm
from generator.adapters.mp4_boxes import box, described
from generator.adapters.stripping import (
    PREVIEW_BYTES_MAX,
    RESULT_PIXELS_MAX,
    small_preview,
    strip,
)
from generator.domain.errors import AttemptFailedError
from generator.domain.failures import Kind

SECRET = "the graph with the person's words"


def png(mode="RGB"):
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 4), np.uint8)
    image = Image.fromarray(noise, "RGBA").convert(mode)
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", SECRET)
    target = io.BytesIO()
    image.save(target, "PNG", pnginfo=info)
    return target.getvalue(), image


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_png_keeps_every_pixel_and_no_text(mode):
    body, image = png(mode)
    assert SECRET.encode() in body

    stripped = strip(body, "image", "out_00001_.png")

    with Image.open(io.BytesIO(stripped.body)) as kept:
        assert kept.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()
        assert "prompt" not in kept.info
    assert SECRET.encode() not in stripped.body
    assert (stripped.mime, stripped.width, stripped.height) == ("image/png", 64, 48)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_picture_keeps_nothing_of_what_was_written_beside_its_pixels(image_format):
    exif = Image.Exif()
    exif[0x010E] = SECRET
    beside = {"exif": exif, "xmp": SECRET.encode(), "icc_profile": SECRET.encode()}
    if image_format == "JPEG":
        beside["comment"] = SECRET
    target = io.BytesIO()
    Image.new("RGB", (64, 48), (9, 8, 7)).save(target, image_format, **beside)
    assert SECRET.encode() in target.getvalue()

    stripped = strip(target.getvalue(), "image", "out.picture")

    assert SECRET.encode() not in stripped.body
    with Image.open(io.BytesIO(stripped.body)) as kept:
        assert not kept.getexif()
        assert not {"icc_profile", "comment", "xmp", "exif"} & set(kept.info)
        assert kept.size == (64, 48)


PEAK = """
import io, sys
from PIL import Image
from generator.adapters.stripping import strip

def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) << 10

body = open(sys.argv[1], "rb").read()
strip(open(sys.argv[2], "rb").read(), "image", "small.png")
before = peak()
strip(body, "image", "large.png")
print(peak() - before)
"""


def test_a_picture_is_held_once(tmp_path):
    """Three times, as it was, a picture of 100 megapixels took more than the pod has."""
    pixels = 24_000_000
    for name, size in (("large", (6_000, 4_000)), ("small", (60, 40))):
        Image.new("RGB", size, (9, 8, 7)).save(tmp_path / name, "PNG", compress_level=1)

    measured = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "large", tmp_path / "small"],
        check=True,
        capture_output=True,
    )

    assert int(measured.stdout) < pixels * 4 * 1.5


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_beyond_what_the_pod_can_hold_is_refused_by_its_header():
    target = io.BytesIO()
    Image.new("1", (20_000, RESULT_PIXELS_MAX // 20_000 + 1)).save(target, "PNG")

    with pytest.raises(AttemptFailedError) as refused:
        strip(target.getvalue(), "image", "out.png")

    assert refused.value.failure.kind == Kind.OUTPUT_DAMAGED


def test_an_animated_webp_keeps_its_frames_and_loses_its_metadata():
    frames = [Image.new("RGB", (32, 32), (step * 40, 0, 0)) for step in range(5)]
    exif = Image.Exif()
    exif[0x010F] = SECRET
    target = io.BytesIO()
    frames[0].save(target, "WEBP", save_all=True, append_images=frames[1:], duration=100, exif=exif)

    stripped = strip(target.getvalue(), "video", "out.webp")

    with Image.open(io.BytesIO(stripped.body)) as kept:
        assert kept.n_frames == 5
    assert SECRET.encode() not in stripped.body
    assert stripped.mime == "image/webp"


def video(extension, codec):
    target = io.BytesIO()
    with av.open(target, "w", format=extension) as container:
        container.metadata["comment"] = SECRET
        stream = container.add_stream(codec, rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for step in range(12):
            picture = np.full((48, 64, 3), step * 20, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return target.getvalue()


@pytest.mark.parametrize(
    ("extension", "codec", "mime"),
    [("mp4", "libx264", "video/mp4"), ("webm", "libvpx-vp9", "video/webm")],
)
def test_a_video_keeps_its_frames_and_loses_its_metadata(extension, codec, mime):
    body = video(extension, codec)
    assert SECRET.encode() in body

    stripped = strip(body, "video", f"out.{extension}")

    assert SECRET.encode() not in stripped.body
    with av.open(io.BytesIO(stripped.body)) as kept:
        assert sum(1 for _ in kept.decode(video=0)) == 12
    assert (stripped.mime, stripped.width, stripped.height) == (mime, 64, 48)
    assert stripped.duration_seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("cut", [0, 10, 300])
def test_half_a_file_is_a_damaged_output(kind, cut):
    body = png()[0] if kind == "image" else video("mp4", "libx264")
    name = "out.png" if kind == "image" else "out.mp4"

    with pytest.raises(AttemptFailedError) as raised:
        strip(body[:cut], kind, name)

    assert raised.value.failure.kind is Kind.OUTPUT_DAMAGED


def test_what_is_wrong_with_a_video_is_told_in_words_of_ours():
    with pytest.raises(AttemptFailedError) as raised:
        strip(video("mp4", "libx264")[:300], "video", "out.mp4")

    assert raised.value.failure.detail == "cut off"


def test_a_preview_fits_a_progress_message():
    noise = np.random.default_rng(2).integers(0, 255, (1024, 1024, 3), np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).save(target, "PNG")

    preview = small_preview(target.getvalue())

    assert 0 < len(preview) <= PREVIEW_BYTES_MAX
    with Image.open(io.BytesIO(preview)) as image:
        assert image.format == "JPEG"


def test_a_preview_that_cannot_be_read_is_left_out():
    assert small_preview(b"not an image") == b""


TOLD = SECRET.encode()


def es(setup, more=b""):
    """The description of a stream, its lengths in one byte each."""
    config = b"\4" + bytes([15 + len(setup)]) + b"\x20" + bytes(12)
    whole = b"\0\1\0" + config + b"\5" + bytes([len(setup)]) + setup + more
    return bytes(4) + b"\3" + bytes([len(whole)]) + whole


FLAC = b"\0\0\0\x22" + bytes(34)
HEVC = bytes(22) + b"\2" + b"\x21\0\1\0\2\x42\1"
AV1 = b"\x81\0\0\0"


@pytest.mark.parametrize(
    ("codec", "kind", "setup"),
    [
        (b"fLaC", b"dfLa", bytes(4) + FLAC + b"\x84\0\0\x21" + TOLD),
        (b"hvc1", b"hvcC", HEVC + b"\x27\0\1\0\x21" + TOLD + TOLD),
        (b"av01", b"av1C", AV1 + b"\x0a\1x" + b"\x2a\x21" + TOLD),
        (b"vp09", b"vpcC", bytes(12) + TOLD),
        (b"mp4v", b"esds", es(b"\0\0\1\xb2" + TOLD + b"\0\0\1\x20x", TOLD)),
        (b"Opus", b"dOps", bytes(11) + TOLD),
        (b"ac-3", b"dac3", bytes(3) + TOLD),
        (b"ec-3", b"dec3", bytes(5) + TOLD),
        (b"alac", b"alac", bytes(28) + TOLD),
    ],
)
def test_behind_what_a_decoder_must_know_nothing_stays(codec, kind, setup):
    kept = b"".join(described(codec, memoryview(box(kind, setup) + box(kind, TOLD))))

    assert kept[4:8] == kind
    assert TOLD[:4] not in kept
    assert b"".join(described(codec, memoryview(kept))) == kept


def test_comments_of_vorbis_are_left_out():
    comment = b"\3vorbis" + struct.pack("<I", len(TOLD)) + TOLD + bytes(4) + b"\1"
    first, last = b"\1vorbis" + bytes(23), b"\5vorbis and how it is coded"
    headers = bytes([2, 30, len(comment)]) + first + comment + last

    kept = webm._setup("A_VORBIS", memoryview(headers))

    assert kept == b"\2\x1e\x10" + first + b"\3vorbis" + bytes(8) + b"\1" + last


MANY = webm.MAGIC + b"\x80" + bytes.fromhex("18538067ff")
FEW_BYTES = {
    "boxes": box(b"free") * 120_000,
    "elements": MANY + b"\xec\x80" * 120_000,
    "clusters": MANY + bytes.fromhex("1f43b675ff") * 120_000,
}


@pytest.mark.parametrize("body", FEW_BYTES.values(), ids=FEW_BYTES)
def test_a_file_of_nothing_but_heads_is_not_read_to_its_end(body):
    with pytest.raises(AttemptFailedError, match="more parts"):
        strip(body, "video", "out.mp4")


def test_a_result_that_memory_is_too_small_for_is_damaged():
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    body = video("webm", "libvpx-vp9") + webm._element(webm._SIMPLE, b"\x81" + bytes(200 << 20))
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (250 << 20), before[1]))
    try:
        with pytest.raises(AttemptFailedError, match="MemoryError"):
            strip(body, "video", "out.webm")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("extension", ["avi", "flv", "mpegts"])
def test_other_containers_are_refused(extension):
    with pytest.raises(AttemptFailedError):
        strip(video(extension, "libx264"), "video", f"out.{extension}")


def test_a_codec_that_a_phone_may_not_know_is_refused():
    with pytest.raises(AttemptFailedError):
        strip(video("matroska", "libx264"), "video", "out.mkv")
