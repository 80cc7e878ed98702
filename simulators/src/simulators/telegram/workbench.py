"""The part of the control API that is about the simulator itself, not about people."""

from dataclasses import asdict, fields
from typing import Any

from aiohttp import web

from simulators.telegram.core import Core, Options
from simulators.telegram.errors import ControlError
from simulators.telegram.requests import json_response, path_id, read_body

Json = dict[str, Any]

SETTABLE = {
    "latency_seconds",
    "callback_seconds",
    "pre_checkout_seconds",
    "draft_seconds",
    "download_bytes_per_second",
    "local",
}


class Workbench:
    def __init__(self, core: Core) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/faults", self.faults),
            web.post("/control/faults", self.add_fault),
            web.delete("/control/faults", self.clear_faults),
            web.delete("/control/faults/{fault_id}", self.remove_fault),
            web.post("/control/reset", self.reset),
            web.post("/control/clock", self.advance_clock),
            web.get("/control/settings", self.settings),
            web.post("/control/settings", self.change_settings),
            web.get("/control/calls", self.calls),
            web.get("/control/updates", self.updates),
        ]

    async def faults(self, _request: web.Request) -> web.Response:
        return json_response(
            {"ok": True, "faults": [asdict(f) for f in self._core.faults.active()]}
        )

    async def add_fault(self, request: web.Request) -> web.Response:
        fault = self._core.faults.add(**await read_body(request))
        return json_response({"ok": True, "fault_id": fault.id, "fault": asdict(fault)})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._core.faults.clear()
        return json_response({"ok": True})

    async def remove_fault(self, request: web.Request) -> web.Response:
        self._core.faults.remove(path_id(request, "fault_id"))
        return json_response({"ok": True})

    async def reset(self, _request: web.Request) -> web.Response:
        await self._core.reset()
        return json_response({"ok": True})

    async def advance_clock(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        self._core.clock.advance(float(body["advance"]))
        return json_response({"ok": True, "now": self._core.clock.now()})

    async def settings(self, _request: web.Request) -> web.Response:
        return json_response({"ok": True, "settings": self._settings()})

    async def change_settings(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        if unknown := body.keys() - SETTABLE:
            raise ControlError(f"unknown setting {min(unknown)!r}")
        for name, value in body.items():
            setattr(self._core.options, name, bool(value) if name == "local" else float(value))
        return json_response({"ok": True, "settings": self._settings()})

    def _settings(self) -> Json:
        names = [option.name for option in fields(Options) if option.name in SETTABLE]
        return {name: getattr(self._core.options, name) for name in names}

    async def calls(self, request: web.Request) -> web.Response:
        """The Bot API calls received; `received_at` is the machine's monotonic clock in ms."""
        after = int(request.query.get("after", 0))
        method = request.query.get("method", "").lower()
        chat_id = request.query.get("chat_id")
        found = [
            asdict(call)
            for call in self._core.calls
            if call.id > after
            and (not method or call.method.lower() == method)
            and (chat_id is None or call.chat_id == int(chat_id))
        ]
        return json_response({"ok": True, "calls": found})

    async def updates(self, request: web.Request) -> web.Response:
        after = int(request.query.get("after", 0))
        queue = self._core.updates
        log = [update.log_view() for update in queue.log.values() if update.update_id > after]
        return json_response(
            {"ok": True, "updates": log, "pending": list(queue.pending), "polling": queue.polling}
        )
