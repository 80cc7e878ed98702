"""Uploads and /view: names, folders, limits, ranges, transcoding."""

import io
import json

import aiohttp
import pytest
from PIL import Image as PillowImage

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import Comfy, graph_of_edit, graph_of_steps


def answer(name: str, subfolder: str = "", kind: str = "input") -> dict[str, str]:
    return {"name": name, "subfolder": subfolder, "type": kind}


async def test_an_upload_gets_the_name_it_asks_for_unless_other_bytes_have_it(
    comfy: Comfy,
) -> None:
    new = await comfy.upload("a.png", b"one")
    same = await comfy.upload("a.png", b"one")
    other = await comfy.upload("a.png", b"two")
    third = await comfy.upload("a.png", b"three")
    again = await comfy.upload("a.png", b"two")

    assert new == same == (200, answer("a.png"))
    assert other == again == (200, answer("a (1).png"))
    assert third == (200, answer("a (2).png"))


@pytest.mark.parametrize(
    ("flag", "name"), [("true", "a.png"), ("1", "a.png"), ("True", "a (1).png")]
)
async def test_only_true_or_1_overwrites(
    simulator: ComfyUISimulator, comfy: Comfy, flag: str, name: str
) -> None:
    await comfy.upload("a.png", b"one")

    _, body = await comfy.upload("a.png", b"two", overwrite=flag)

    assert body["name"] == name
    assert simulator.storage.annotated(name).read_bytes() == b"two"


async def test_a_subfolder_is_made_and_usable_in_a_graph(comfy: Comfy, photo: bytes) -> None:
    status, body = await comfy.upload("in.png", photo, subfolder="job/abc")

    run = await comfy.run(graph_of_edit("job/abc/in.png"))

    assert (status, body) == (200, answer("in.png", "job/abc"))
    assert run.status == "success"


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("a.png", {"subfolder": "../out"}, 400),
        ("../a.png", {}, 400),
        ("no/folder.png", {}, 500),
        ("/etc/x.png", {}, 500),
        ("a.png", {"type": "bogus"}, 500),
    ],
)
async def test_a_bad_place_is_refused(
    comfy: Comfy, name: str, fields: dict[str, str], expected: int
) -> None:
    status, body = await comfy.upload(name, b"x", **fields)

    assert status == expected
    assert body.startswith("500 Internal") if expected == 500 else body == ""


async def test_a_form_without_a_file_is_refused(comfy: Comfy) -> None:
    fields = aiohttp.FormData({"image": "just text"})
    async with comfy.session.post("/upload/image", data=fields) as response:
        assert response.status == 500
    nothing = aiohttp.FormData({"type": "input"})
    async with comfy.session.post("/upload/image", data=nothing) as response:
        assert (response.status, await response.text()) == (400, "")
    async with comfy.session.post("/upload/image", data=b"raw") as response:
        assert (response.status, await response.text()) == (400, "")


async def test_nothing_is_checked_about_the_content(comfy: Comfy) -> None:
    for name, body in (("t.png", b"text"), ("e.png", b""), ("c.jpg", b"\xff\xd8\xff")):
        assert await comfy.upload(name, body) == (200, answer(name))


async def test_a_quoted_name_stays_literal(comfy: Comfy) -> None:
    form = aiohttp.FormData()
    form.add_field("image", b"x", filename="hé.png")
    async with comfy.session.post("/upload/image", data=form) as response:
        body = await response.json()

    assert body["name"] == "h%C3%A9.png"


async def test_a_mask_becomes_the_alpha_of_its_original(comfy: Comfy, photo: bytes) -> None:
    await comfy.upload("p.png", photo)
    mask = io.BytesIO()
    PillowImage.new("RGBA", (96, 72), (0, 0, 0, 40)).save(mask, format="PNG")
    form = aiohttp.FormData({"original_ref": json.dumps({"filename": "p.png", "type": "input"})})
    form.add_field("image", mask.getvalue(), filename="masked.png")

    async with comfy.session.post("/upload/mask", data=form) as response:
        body = await response.json()

    got = await comfy.view({"filename": body["name"], "type": "input"})
    picture = PillowImage.open(io.BytesIO(got))
    assert picture.mode == "RGBA"
    assert picture.getpixel((5, 5))[3] == 40


async def test_a_file_is_served_with_type_ranges_and_conditions(comfy: Comfy) -> None:
    file = (await comfy.run(graph_of_steps())).files()[0]
    whole = await comfy.view(file)

    async with comfy.session.get("/view", params=file) as response:
        assert response.content_type == "image/png"
        assert response.headers["Accept-Ranges"] == "bytes"
        assert int(response.headers["Content-Length"]) == len(whole)
        modified, etag = response.headers["Last-Modified"], response.headers["Etag"]
    assert etag
    since = {"If-Modified-Since": modified}
    async with comfy.session.get("/view", params=file, headers=since) as response:
        assert response.status == 304
    middle = {"Range": "bytes=10-19"}
    async with comfy.session.get("/view", params=file, headers=middle) as response:
        assert (response.status, await response.read()) == (206, whole[10:20])
    async with comfy.session.head("/view", params=file) as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) == len(whole)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"filename": "missing.png"}, 404),
        ({}, 404),
        ({"filename": "../x.png"}, 400),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "x.png", "type": "bogus"}, 400),
        ({"filename": "x.png", "subfolder": "../../.."}, 403),
    ],
)
async def test_what_is_not_there_is_not_shown(
    comfy: Comfy, params: dict[str, str], expected: int
) -> None:
    assert (await comfy.get("/view", **params))[0] == expected


async def test_a_preview_is_transcoded(comfy: Comfy) -> None:
    file = (await comfy.run(graph_of_steps())).files()[0]

    async with comfy.session.get("/view", params={**file, "preview": "webp;80"}) as response:
        assert response.content_type == "image/webp"
        assert PillowImage.open(io.BytesIO(await response.read())).format == "WEBP"
    async with comfy.session.get("/view", params={**file, "channel": "a"}) as response:
        assert PillowImage.open(io.BytesIO(await response.read())).mode == "RGBA"


async def test_saved_files_carry_the_graph_unless_switched_off(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    run = await comfy.run(graph_of_steps(), extra_data={"extra_pnginfo": {"workflow": {"id": 1}}})
    picture = PillowImage.open(io.BytesIO(await comfy.view(run.files()[0])))
    assert json.loads(picture.info["prompt"]) == graph_of_steps()
    assert json.loads(picture.info["workflow"]) == {"id": 1}

    await comfy.post("/control/switches", {"embed_metadata": False})
    bare = await comfy.run(graph_of_steps(prefix="bare"))

    picture = PillowImage.open(io.BytesIO(await comfy.view(bare.files()[0])))
    assert "prompt" not in picture.info


async def test_names_count_up_per_folder_and_batch(comfy: Comfy) -> None:
    graph = graph_of_steps(prefix="%width%/p")
    graph["1"]["inputs"]["batch_size"] = 3

    run = await comfy.run(graph)
    later = await comfy.run(graph_of_steps(prefix="64/p", seed=9))

    names = [(file["subfolder"], file["filename"]) for file in run.files()]
    assert names == [("64", f"p_0000{n}_.png") for n in (1, 2, 3)]
    assert later.files()[0]["filename"] == "p_00004_.png"


@pytest.mark.parametrize("prefix", ["../x", "/abs"])
async def test_a_prefix_outside_fails_the_job(comfy: Comfy, prefix: str) -> None:
    run = await comfy.run(graph_of_steps(prefix=prefix))

    kind, data = run.last_message
    assert (kind, data["node_type"]) == ("execution_error", "SaveImage")
