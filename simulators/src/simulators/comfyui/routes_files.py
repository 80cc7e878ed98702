"""Routes that move files: uploads and /view."""

import asyncio
import io
import json
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField
from PIL import Image as PillowImage

from simulators.comfyui.process import Process
from simulators.comfyui.storage import FOLDERS, OutsideFolderError

OVERWRITE = {"true", "1"}
CHANNELS = ("rgb", "a")


class FileRoutes:
    def __init__(self, process: Process) -> None:
        self._process = process

    def table(self) -> list[web.RouteDef]:
        return [
            web.post("/upload/image", self.upload_image),
            web.post("/upload/mask", self.upload_mask),
            web.get("/view", self.view),
        ]

    async def upload_image(self, request: web.Request) -> web.Response:
        form = await request.post()
        return await self._store(form, None)

    async def upload_mask(self, request: web.Request) -> web.Response:
        form = await request.post()
        reference = json.loads(str(form["original_ref"]))
        original = self._process.storage.inside(
            reference.get("type", "output"), reference.get("subfolder", ""), reference["filename"]
        )
        if not original.is_file():
            return web.Response(status=400)
        return await self._store(form, original.read_bytes())

    async def _store(self, form: Any, original: bytes | None) -> web.Response:
        part = form.get("image")
        if not part:
            return web.Response(status=400)
        assert isinstance(part, FileField), "a file part without a filename is a 500"
        kind = form.get("type", "input")
        subfolder = form.get("subfolder", "")
        if not part.filename:
            return web.Response(status=400)
        body = await asyncio.to_thread(part.file.read)
        if original is not None:
            body = await asyncio.to_thread(_with_alpha_of, original, body)
        overwrite = form.get("overwrite") in OVERWRITE
        try:
            name = await asyncio.to_thread(
                self._process.storage.save_upload,
                kind,
                subfolder,
                part.filename,
                body,
                overwrite=overwrite,
            )
        except OutsideFolderError:
            # An absolute name is an error inside the real server, a climbing one is refused.
            if part.filename.startswith("/"):
                raise
            return web.Response(status=400)
        return web.json_response({"name": name, "subfolder": subfolder, "type": kind})

    async def view(self, request: web.Request) -> web.StreamResponse:
        query, faults = request.query, self._process.faults
        if slow := faults.take("slow_view", request.query_string):
            await self._process.pause(slow.seconds)
        filename = query.get("filename", "")
        if not filename or faults.take("view_404", request.query_string):
            return web.Response(status=404)
        kind = query.get("type", "output")
        if kind not in FOLDERS or filename.startswith("/") or ".." in filename:
            return web.Response(status=400)
        try:
            path = self._process.storage.inside(kind, query.get("subfolder", ""), filename)
        except OutsideFolderError:
            return web.Response(status=403)
        if not path.is_file():
            return web.Response(status=404)
        if "preview" in query or query.get("channel") in CHANNELS:
            return await asyncio.to_thread(_transcoded, path.read_bytes(), query)
        if faults.take("view_truncated", request.query_string):
            return await _cut_short(request, path.read_bytes())
        disposition = f'filename="{path.name}"'
        return web.FileResponse(path, headers={"Content-Disposition": disposition})


def _with_alpha_of(original: bytes, mask: bytes) -> bytes:
    picture = PillowImage.open(io.BytesIO(original)).convert("RGBA")
    alpha = PillowImage.open(io.BytesIO(mask)).convert("RGBA").getchannel("A")
    picture.putalpha(alpha.resize(picture.size))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def _transcoded(body: bytes, query: Any) -> web.Response:
    """A preview or one channel of a picture; anything Pillow cannot read is a 500."""
    picture = PillowImage.open(io.BytesIO(body))
    buffer = io.BytesIO()
    if "preview" in query:
        kind, _, quality = query["preview"].partition(";")
        kind = kind if kind in {"webp", "jpeg"} else "webp"
        mode = "RGB" if kind == "jpeg" or query.get("channel") == "rgb" else "RGBA"
        picture.convert(mode).save(buffer, format=kind, quality=int(quality or 90))
        return web.Response(body=buffer.getvalue(), content_type=f"image/{kind}")
    rgba = picture.convert("RGBA")
    if query["channel"] == "rgb":
        rgba.convert("RGB").save(buffer, format="PNG")
    else:
        only_alpha = PillowImage.new("RGBA", rgba.size)
        only_alpha.putalpha(rgba.getchannel("A"))
        only_alpha.save(buffer, format="PNG")
    return web.Response(body=buffer.getvalue(), content_type="image/png")


async def _cut_short(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
