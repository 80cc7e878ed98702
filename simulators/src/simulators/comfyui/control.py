"""/control: what tests and benches use to order faults and to look inside; ComfyUI has none."""

from typing import Any, Protocol

from aiohttp import web

from simulators.comfyui.faults import FaultBook, UnknownFaultError
from simulators.comfyui.process import Process, Settings
from simulators.comfyui.record import PromptLog

SWITCHES = ("orphan_bug", "check_prompt_ids", "embed_metadata")


class Controlled(Protocol):
    settings: Settings
    faults: FaultBook
    log: PromptLog

    @property
    def process(self) -> Process: ...

    def request_death(self, down_seconds: float) -> None: ...


class ControlRoutes:
    def __init__(self, controlled: Controlled) -> None:
        self._controlled = controlled

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/control/state", self.state),
            web.get("/control/faults", self.faults),
            web.post("/control/faults", self.order_faults),
            web.delete("/control/faults", self.clear_faults),
            web.post("/control/restart", self.restart),
            web.post("/control/kill", self.restart),
            web.post("/control/time_scale", self.time_scale),
            web.post("/control/switches", self.switches),
        ]

    async def state(self, request: web.Request) -> web.Response:
        process = self._controlled.process
        running = process.queue.running()
        prompts = self._controlled.log.describe()
        after = int(request.query.get("after", 0))
        return web.json_response(
            {
                "mode": process.mode.name,
                "incarnation": process.incarnation,
                "time_scale": self._controlled.settings.time_scale,
                "worker_alive": process.worker_alive,
                "running": running[1] if running else None,
                "pending": [item[1] for item in process.queue.pending()],
                "sockets": [client.sid for client in process.sockets.clients()],
                "free_calls": process.free_calls,
                "faults": self._controlled.faults.describe(),
                "prompts": prompts[after:],
            }
        )

    async def faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._controlled.faults.describe())

    async def order_faults(self, request: web.Request) -> web.Response:
        """One fault or a list; with `now` a socket fault strikes every open socket at once."""
        body = await request.json()
        orders: list[dict[str, Any]] = body if isinstance(body, list) else [body]
        try:
            armed = [self._order(dict(order)) for order in orders]
        except UnknownFaultError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(armed)

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        if not order.pop("now", False):
            return self._controlled.faults.arm(order).describe()
        process = self._controlled.process
        kind = order.get("kind")
        if kind == "hang":
            process.freeze(float(order.get("seconds", 10.0)))
        elif kind in {"ws_close", "ws_silent"}:
            for client in process.sockets.clients():
                if kind == "ws_close":
                    client.abort()
                else:
                    client.silent = True
        elif kind == "cuda_sticky":
            process.cuda_broken = True
        else:
            raise UnknownFaultError(f"{kind!r} cannot strike now, without a prompt or a request")
        return order

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._controlled.faults.clear()
        return web.json_response([])

    async def restart(self, request: web.Request) -> web.Response:
        """Sockets are cut, state is lost; the port refuses for `down_seconds`, then all is new."""
        body = await request.json() if await request.read() else {}
        self._controlled.request_death(float(body.get("down_seconds", 0.5)))
        return web.json_response({"incarnation": self._controlled.process.incarnation})

    async def time_scale(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._controlled.settings.time_scale = float(body["time_scale"])
        if "job_seconds" in body:
            self._controlled.settings.job_seconds = float(body["job_seconds"])
        return web.json_response({"time_scale": self._controlled.settings.time_scale})

    async def switches(self, request: web.Request) -> web.Response:
        body = await request.json()
        unknown = [name for name in body if name not in SWITCHES]
        if unknown:
            return web.json_response({"error": f"unknown switches {unknown}"}, status=400)
        for name, value in body.items():
            setattr(self._controlled.settings, name, bool(value))
        self._controlled.process.sockets.orphan_bug = self._controlled.settings.orphan_bug
        current = {name: getattr(self._controlled.settings, name) for name in SWITCHES}
        return web.json_response(current)
