"""Routes about the server itself: stats, node classes, features, models, memory; and /ws."""

import platform
import uuid
from typing import Any, cast

import aiohttp
from aiohttp import web

from simulators.comfyui.nodes import REGISTRY
from simulators.comfyui.process import Process
from simulators.comfyui.sockets import Client

GIBIBYTE = 1024**3
MODEL_FOLDERS = ("checkpoints", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision")


class InfoRoutes:
    def __init__(self, process: Process) -> None:
        self._process = process

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/ws", self.socket),
            web.get("/system_stats", self.system_stats),
            web.get("/object_info", self.object_info),
            web.get("/object_info/{name}", self.object_info_of_one),
            web.get("/features", self.features),
            web.get("/embeddings", self.embeddings),
            web.get("/models", self.model_folders),
            web.get("/models/{folder}", self.models),
            web.post("/free", self.free),
        ]

    def _features(self) -> dict[str, Any]:
        features: dict[str, Any] = {
            "supports_preview_metadata": True,
            "max_upload_size": self._process.settings.max_upload_bytes,
            "extension": {"manager": {"supports_v4": True}},
        }
        if self._process.mode.has_jobs:
            features |= {"node_replacements": True, "assets": False}
        return features

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        process = self._process
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sid = request.query.get("clientId") or uuid.uuid4().hex
        # The transport of an upgraded request is the plain one of the TCP connection.
        client = Client(sid, socket, cast("Any", request.transport))
        process.sockets.register(client)
        info = {"exec_info": {"queue_remaining": process.queue.remaining()}}
        process.sockets.send_to(client, "status", {"status": info, "sid": sid})
        running = process.running
        if running.client_id == sid and running.node_id is not None:
            process.sockets.send_to(client, "executing", {"node": running.node_id})
        first = True
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._heard(client, message, first=first)
                    first = False
        finally:
            process.sockets.unregister(client)
        return socket

    def _heard(self, client: Client, message: aiohttp.WSMessage, *, first: bool) -> None:
        """Only a first frame with feature flags means anything; the rest is ignored."""
        try:
            body = message.json()
        except ValueError:
            return
        if first and isinstance(body, dict) and body.get("type") == "feature_flags":
            client.features = body.get("data") or {}
            self._process.sockets.send_to(client, "feature_flags", self._features())

    async def system_stats(self, _request: web.Request) -> web.Response:
        memory = {"vram_total": 24 * GIBIBYTE, "vram_free": 22 * GIBIBYTE}
        torch_memory = {"torch_vram_total": 2 * GIBIBYTE, "torch_vram_free": GIBIBYTE}
        return web.json_response(
            {
                "system": {
                    "os": "posix",
                    "ram_total": 32 * GIBIBYTE,
                    "ram_free": 24 * GIBIBYTE,
                    "comfyui_version": self._process.mode.comfyui_version,
                    "required_frontend_version": "1.0.0",
                    "python_version": platform.python_version(),
                    "pytorch_version": "2.9.0+cpu",
                    "embedded_python": False,
                    "argv": ["main.py"],
                },
                "devices": [
                    {"name": "cpu", "type": "cpu", "index": None, **memory, **torch_memory}
                ],
            }
        )

    async def object_info(self, _request: web.Request) -> web.Response:
        names = self._process.storage.input_names
        return web.json_response({n: known.describe(names) for n, known in REGISTRY.items()})

    async def object_info_of_one(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        known = REGISTRY.get(name)
        names = self._process.storage.input_names
        return web.json_response({} if known is None else {name: known.describe(names)})

    async def features(self, _request: web.Request) -> web.Response:
        return web.json_response(self._features())

    async def embeddings(self, _request: web.Request) -> web.Response:
        return web.json_response([])

    async def model_folders(self, _request: web.Request) -> web.Response:
        return web.json_response(list(MODEL_FOLDERS))

    async def models(self, request: web.Request) -> web.Response:
        known = request.match_info["folder"] in MODEL_FOLDERS
        return web.json_response([]) if known else web.Response(status=404)

    async def free(self, request: web.Request) -> web.Response:
        self._process.free_calls.append(await request.json())
        return web.Response(status=200)
