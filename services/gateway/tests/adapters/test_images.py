"""Pictures of strangers: what is taken comes out clean, what is refused is refused by name."""

import asyncio
import os
import struct
import sys
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from chassis.background import Background
from chassis.testing import drain
from devstack.testing import ended
from gateway.adapters.images import Images, NotTakenError

pytestmark = pytest.mark.asyncio(loop_scope="module")
PIXELS_MAX = 4_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def images():
    background = Background()
    images = Images(
        background,
        pixels_max=PIXELS_MAX,
        side_max=4_000,
        timeout=timedelta(seconds=20),
        idle=timedelta(seconds=60),
        memory_mib=1_024,
    )
    yield images
    await images.stop()
    await background.stop(timedelta(seconds=1))


async def check(images: Images, source: Path) -> tuple:
    folder = source.parent
    image, thumbnail = await images.check(source, folder / "clean", folder / "small")
    return image, thumbnail, Image.open(folder / "clean")


async def refusal(images: Images, source: Path) -> str:
    with pytest.raises(NotTakenError) as refused:
        await check(images, source)
    return refused.value.code


def forged_png(path: Path, width: int, height: int) -> Path:
    """A few bytes whose header promises a picture of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\x00" * 1_000)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


async def test_a_picture_comes_out_upright_and_without_its_metadata(images, tmp_path):
    source = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by the camera
    exif[0x010F] = "A secret camera"
    Image.new("RGB", (300, 200), "red").save(source, exif=exif)

    image, thumbnail, clean = await check(images, source)

    assert (image.width, image.height, image.mime) == (200, 300, "image/jpeg")
    assert max(thumbnail.width, thumbnail.height) <= 320
    assert not clean.getexif()
    assert b"secret camera" not in (tmp_path / "clean").read_bytes()
    assert image.size_bytes == (tmp_path / "clean").stat().st_size


async def test_transparency_is_kept_as_png(images, tmp_path):
    source = tmp_path / "a.png"
    Image.new("RGBA", (50, 40), (255, 0, 0, 100)).save(source)

    image, _thumbnail, clean = await check(images, source)

    assert (image.mime, clean.mode) == ("image/png", "RGBA")


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16", "1", "RGBA"])
async def test_any_colours_become_plain_ones(images, tmp_path, mode):
    source = tmp_path / "a.tif"
    picture = Image.new("RGB", (30, 20), "green").convert("RGBA" if mode == "RGBA" else "L")
    picture.convert(mode if mode != "I;16" else "I").save(source)

    image, _thumbnail, clean = await check(images, source)

    assert (image.mime, clean.mode) == ("image/jpeg", "RGB")


@pytest.mark.parametrize(
    ("width", "height"), [(13_000, 13_000), (2_147_483_647, 2_147_483_647), (4_001, 10)]
)
async def test_a_pixel_bomb_is_refused_by_its_header(images, tmp_path, width, height):
    assert await refusal(images, forged_png(tmp_path / "bomb.png", width, height)) in (
        "too_many_pixels",
        "not_an_image",  # Pillow itself calls the absurd ones no picture
    )


async def test_a_real_bomb_of_13000_by_13000_is_refused(images, tmp_path):
    source = tmp_path / "bomb.png"
    Image.new("1", (13_000, 13_000)).save(source)

    assert await refusal(images, source) == "too_many_pixels"


async def test_a_truncated_picture_is_refused(images, tmp_path, picture):
    source = tmp_path / "cut.jpg"
    source.write_bytes(picture[: len(picture) // 2])

    assert await refusal(images, source) == "damaged"


async def test_an_animation_is_refused(images, tmp_path):
    source = tmp_path / "a.gif"
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(source, save_all=True, append_images=frames[1:])

    assert await refusal(images, source) == "animated"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 5_000, b"%PDF-1.7", b"<svg/>"])
async def test_what_is_no_picture_is_refused(images, tmp_path, content):
    source = tmp_path / "a.jpg"
    source.write_bytes(content)

    assert await refusal(images, source) == "not_an_image"


async def test_a_worker_that_dies_refuses_one_picture_and_the_next_gets_a_new_one(
    images, tmp_path, picture
):
    source = tmp_path / "a.jpg"
    source.write_bytes(picture)
    await check(images, source)
    killed = images.pid

    os.kill(killed, 9)

    assert await refusal(images, source) == "damaged"
    await check(images, source)
    assert images.pid != killed


async def test_an_idle_worker_ends(tmp_path, picture):
    source = tmp_path / "a.jpg"
    source.write_bytes(picture)
    background = Background()
    images = Images(
        background,
        pixels_max=PIXELS_MAX,
        side_max=4_000,
        timeout=timedelta(seconds=20),
        idle=timedelta(milliseconds=50),
        memory_mib=1_024,
    )
    await asyncio.gather(check(images, source))
    pid = images.pid

    await drain(lambda: images.pid is None and ended(pid), what="the worker's end")
    await background.stop(timedelta(seconds=1))


async def test_nothing_of_pillow_is_loaded_in_the_service():
    """In a process of its own: the tests' own process has Pillow, of course."""
    code = (
        "import sys\n"
        "from gateway.adapters import light_aiogram\n"
        "light_aiogram.load()\n"
        "import gateway.main\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'PIL'])\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert out.decode().strip() == "[]"
