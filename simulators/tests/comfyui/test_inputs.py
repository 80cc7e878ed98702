"""What LoadImage makes of good, odd and broken files."""

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import Comfy, graph_of_edit, graph_of_steps


def encoded(picture: PillowImage.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def noise(width: int = 64, height: int = 48) -> PillowImage.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return PillowImage.fromarray(pixels)


async def edited(comfy: Comfy, body: bytes, name: str = "in.png") -> list[PillowImage.Image]:
    await comfy.upload(name, body)
    run = await comfy.run(graph_of_edit(name))
    assert run.status == "success", run.last_message
    return [PillowImage.open(io.BytesIO(await comfy.view(file))) for file in run.files()]


@pytest.mark.parametrize(
    ("body", "exception"),
    [
        (b"plain text", "PIL.UnidentifiedImageError"),
        (b"\0" * 500, "PIL.UnidentifiedImageError"),
        (b"", "av.error.InvalidDataError"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "av.error.DecoderNotFoundError"),
    ],
)
async def test_what_is_no_picture_fails_at_load_image(
    comfy: Comfy, body: bytes, exception: str
) -> None:
    await comfy.upload("bad.png", body)

    run = await comfy.run(graph_of_edit("bad.png"))

    kind, data = run.last_message
    assert (kind, data["node_type"]) == ("execution_error", "LoadImage")
    assert data["exception_type"] == exception


async def test_a_file_deleted_before_its_job_is_not_found(
    simulator: ComfyUISimulator, comfy: Comfy, photo: bytes
) -> None:
    await comfy.upload("in.png", photo)
    simulator.settings.time_scale = 1.0
    simulator.settings.job_seconds = 0.0
    blocker = await comfy.queued(graph_of_steps(steps=1, step_s=0.3))
    prompt_id = await comfy.queued(graph_of_edit("in.png"))
    simulator.storage.annotated("in.png").unlink()
    await comfy.finished(blocker)

    entry = await comfy.finished(prompt_id)

    error = entry["status"]["messages"][-1][1]
    assert error["exception_type"] == "av.error.FileNotFoundError"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
async def test_a_truncated_picture_gives_the_part_there_is(comfy: Comfy, kind: str) -> None:
    body = encoded(noise(200, 200), kind)

    [picture] = await edited(comfy, body[: len(body) // 2])

    pixels = np.asarray(picture)
    assert pixels.shape == (200, 200, 3)
    assert pixels[:40].std() > 20
    assert pixels[-10:].std() < 20


async def test_an_edit_inverts_every_pixel(comfy: Comfy) -> None:
    [picture] = await edited(comfy, encoded(noise(), "PNG"))

    assert np.array_equal(np.asarray(picture), 255 - np.asarray(noise()))


async def test_a_jpeg_named_png_is_turned_upright(comfy: Comfy) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6

    [picture] = await edited(comfy, encoded(noise(64, 48), "JPEG", exif=exif))

    assert picture.size == (48, 64)


@pytest.mark.parametrize("pixels", ["CMYK", "L", "P", "RGBA", "I;16"])
async def test_odd_modes_load(comfy: Comfy, pixels: str) -> None:
    kind = "JPEG" if pixels == "CMYK" else "PNG"
    picture = noise().convert("L") if pixels == "I;16" else noise()
    picture = picture.convert(pixels)

    [loaded] = await edited(comfy, encoded(picture, kind))

    assert loaded.size == (64, 48)


async def test_an_animated_gif_is_a_batch(comfy: Comfy) -> None:
    shades = [PillowImage.new("RGB", (32, 32), (40 * n, 0, 0)) for n in range(5)]
    body = encoded(shades[0], "GIF", save_all=True, append_images=shades[1:])

    pictures = await edited(comfy, body, "in.gif")

    assert len(pictures) == 5
    assert len({picture.getpixel((3, 3)) for picture in pictures}) == 5


async def test_a_bomb_is_refused_without_being_decoded(
    comfy: Comfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = encoded(PillowImage.new("1", (20_000, 10_000)), "PNG")
    await comfy.upload("bomb.png", body)
    run = await comfy.run(graph_of_edit("bomb.png"))
    assert run.last_message[1]["exception_type"] == "PIL.Image.DecompressionBombError"

    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", None)
    run = await comfy.run(graph_of_edit("bomb.png", prefix="again"))
    assert run.last_message[1]["exception_type"] == "av.error.MemoryError"
