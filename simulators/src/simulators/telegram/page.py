"""The browser page, its live events and the files it shows."""

import asyncio
import json
from importlib.resources import files as package_files

from aiohttp import web

from simulators.telegram.core import Core
from simulators.telegram.views import message_view

ASSETS = {
    "": ("index.html", "text/html"),
    "style.css": ("style.css", "text/css"),
    "app.js": ("app.js", "text/javascript"),
    "api.js": ("api.js", "text/javascript"),
    "chat.js": ("chat.js", "text/javascript"),
    "render.js": ("render.js", "text/javascript"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
# Nothing is loaded from anywhere else, and the browser holds the page to it.
POLICY = "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'"
HEARTBEAT_SECONDS = 15.0
INLINE_TYPES = ("image/", "video/", "audio/")


class Page:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._closing = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.asset),
            web.get("/assets/{name}", self.asset),
            web.get("/health", self.health),
            web.get("/control/about", self.about),
            web.get("/control/events", self.events),
            web.get("/control/files/{file_id}", self.file),
        ]

    def close(self) -> None:
        self._closing.set()

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def about(self, _request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "bot": self._core.bot})

    async def asset(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "")
        if name not in ASSETS:
            raise web.HTTPNotFound
        filename, content_type = ASSETS[name]
        text = (package_files("simulators.telegram") / "web" / filename).read_text("utf-8")
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
        return web.Response(text=text, content_type=content_type, headers=headers)

    async def file(self, request: web.Request) -> web.StreamResponse:
        stored = self._core.files.get(request.match_info["file_id"])
        if stored is None:
            raise web.HTTPNotFound
        inline = stored.mime.startswith(INLINE_TYPES) and stored.mime != "image/svg+xml"
        name = (stored.name or stored.path.rpartition("/")[2]).replace('"', "")
        disposition = "inline" if inline else "attachment"
        headers = {
            "Content-Type": stored.mime,
            "Content-Disposition": f"{disposition}; filename*=UTF-8''{_percent(name)}",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "max-age=3600",
        }
        return web.FileResponse(self._core.files.location(stored), headers=headers)

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "text/event-stream"
        response.headers["Cache-Control"] = "no-cache"
        await response.prepare(request)
        await response.write(b": hello\n\n")
        queue = self._core.hub.listen()
        closing = asyncio.create_task(self._closing.wait())
        try:
            while not closing.done():
                event = await _next(queue, closing)
                await response.write(self._encoded(request, event))
        except ConnectionError:
            pass  # the page was closed
        finally:
            closing.cancel()
            self._core.hub.leave(queue)
        return response

    def _encoded(self, request: web.Request, event: dict[str, object] | None) -> bytes:
        if event is None:
            return b": still here\n\n"
        if event["type"] == "message":
            message = self._core.world.messages.get(int(str(event["chat_id"])), {}).get(
                int(str(event["message_id"]))
            )
            if message is not None:
                base = f"{request.scheme}://{request.host}"
                event = {**event, "message": message_view(self._core, message, base)}
        return f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


async def _next(
    queue: asyncio.Queue[dict[str, object]], closing: asyncio.Task[bool]
) -> dict[str, object] | None:
    waiting = asyncio.create_task(queue.get())
    done, _ = await asyncio.wait(
        {waiting, closing}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
    )
    if waiting in done:
        return waiting.result()
    waiting.cancel()
    return None


def _percent(name: str) -> str:
    from urllib.parse import quote

    return quote(name)
