"""Puts the routes of one process together, each at /x and at /api/x, behind its middlewares."""

import asyncio
import logging
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from simulators.comfyui.control import Controlled, ControlRoutes
from simulators.comfyui.process import Process
from simulators.comfyui.routes_files import FileRoutes
from simulators.comfyui.routes_info import InfoRoutes
from simulators.comfyui.routes_jobs import JobRoutes
from simulators.comfyui.routes_queue import QueueRoutes, server_error

logger = logging.getLogger(__name__)

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
CONTROL = "/control/"
BIG_BODIES = ("/prompt", "/upload/image", "/upload/mask")


class RouteTable(Protocol):
    def table(self) -> list[web.RouteDef]: ...


def _host(value: str) -> str:
    return urlsplit(value if "//" in value else f"//{value}").hostname or ""


def _refuses_origin(request: web.Request) -> bool:
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return True
    origin = request.headers.get("Origin")
    host = request.headers.get("Host", "")
    if not origin or _host(host) not in LOOPBACK:
        return False
    return urlsplit(origin).netloc != host


def _guard(process: Process) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await handler(request)
        if not process.unfrozen.is_set():
            await _frozen(process, request)
        if _refuses_origin(request):
            return web.Response(status=403)
        line = f"{request.method} {request.path_qs}"
        if fault := process.faults.take("http_error", line):
            return web.Response(status=int(fault.options.get("status", 500)), text="ordered fault")
        if request.path.endswith(BIG_BODIES) and request.method == "POST":  # noqa: SIM102
            if process.faults.take("payload_too_large", line):
                return _too_large(process)
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return _too_large(process)
        except (web.HTTPException, asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            logger.debug("500 for %s: %r", line, error)
            return server_error()

    return guard


def _too_large(process: Process) -> web.Response:
    limit = process.settings.max_upload_bytes
    return web.Response(status=413, text=f"Maximum request body size {limit} exceeded.")


async def _frozen(process: Process, request: web.Request) -> None:
    """Wait like a stopped process; what had arrived by then is still handled afterwards."""
    if request.can_read_body and not request.content_type.startswith("multipart/"):
        await request.read()
    await process.unfrozen.wait()


def build_app(process: Process, controlled: Controlled) -> web.Application:
    app = web.Application(
        client_max_size=process.settings.max_upload_bytes, middlewares=[_guard(process)]
    )
    tables: list[RouteTable] = [QueueRoutes(process), FileRoutes(process), InfoRoutes(process)]
    for table in tables:
        for route in table.table():
            app.router.add_routes([route])
            prefixed = web.RouteDef(route.method, f"/api{route.path}", route.handler, route.kwargs)
            app.router.add_routes([prefixed])
    app.router.add_routes(JobRoutes(process).table())
    app.router.add_routes(ControlRoutes(controlled).table())
    return app
