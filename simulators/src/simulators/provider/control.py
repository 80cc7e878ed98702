"""The control API every provider has: clock, faults, calls, webhooks; plain HTTP, no token."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Generic, TypeVar

from aiohttp import web

from simulators.provider.core import ProviderCore
from simulators.telegram import requests
from simulators.telegram.errors import ControlError
from simulators.telegram.requests import json_response, read_body

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AnyCore = TypeVar("AnyCore", bound=ProviderCore[Any, Any, Any])


@web.middleware
async def control_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say plainly what was wrong with a control call."""
    if not request.path.startswith("/control/"):
        return await handler(request)
    try:
        return await handler(request)
    except ControlError as error:
        return json_response({"ok": False, "error": error.message}, error.status)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        return json_response({"ok": False, "error": f"{type(error).__name__}: {error}"}, 400)


class ProviderControl(ABC, Generic[AnyCore]):
    subject_name = "object_id"
    """What a webhook's subject is called in a query."""

    def __init__(self, core: AnyCore) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self.health),
            web.post("/control/clock", self.advance_clock),
            web.get("/control/faults", self.faults),
            web.post("/control/faults", self.add_fault),
            web.delete("/control/faults", self.clear_faults),
            web.delete("/control/faults/{id}", self.remove_fault),
            web.get("/control/calls", self.calls),
            web.post("/control/reset", self.reset),
            web.get("/control/webhook", self.webhook),
            web.post("/control/webhook", self.configure),
            web.get("/control/webhooks", self.deliveries),
            web.post("/control/webhooks/forge", self.forge),
            web.post("/control/webhooks/{id}/resend", self.resend),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        return json_response({"ok": True})

    async def advance_clock(self, request: web.Request) -> web.Response:
        self._core.clock.advance(float((await read_body(request))["advance_seconds"]))
        return json_response({"ok": True, "now": self._core.clock.now()})

    # --- faults and what was asked ----------------------------------------------------------

    async def faults(self, _request: web.Request) -> web.Response:
        ordered = [asdict(fault) for fault in self._core.faults.ordered()]
        return json_response({"ok": True, "faults": ordered})

    async def add_fault(self, request: web.Request) -> web.Response:
        fault = self._core.faults.add(**await read_body(request))
        return json_response({"ok": True, "fault_id": fault.id, "fault": asdict(fault)})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._core.faults.clear()
        return json_response({"ok": True})

    async def remove_fault(self, request: web.Request) -> web.Response:
        self._core.faults.remove(path_id(request))
        return json_response({"ok": True})

    async def calls(self, request: web.Request) -> web.Response:
        query = request.query
        found = self._core.calls.find(query.get("method", ""), int(query.get("after", 0)))
        return json_response({"ok": True, "calls": [asdict(call) for call in found]})

    async def reset(self, _request: web.Request) -> web.Response:
        await self._core.reset()
        return json_response({"ok": True})

    # --- webhooks: their address, what was delivered, sending by hand -----------------------

    async def webhook(self, _request: web.Request) -> web.Response:
        sender = self._core.webhooks
        names = ("url", "enabled", "disabled_at", "disabled_reason")
        view = {name: getattr(sender, name) for name in names}
        return json_response({"ok": True, "webhook": view})

    async def configure(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        if unknown := body.keys() - {"url", "enabled"}:
            raise ControlError(f"unknown field {min(unknown)!r}")
        self._core.webhooks.configure(body.get("url"), body.get("enabled"))
        return await self.webhook(request)

    async def deliveries(self, request: web.Request) -> web.Response:
        subject = request.query.get(self.subject_name)
        views = [
            delivery.view()
            for delivery in self._core.webhooks.deliveries.values()
            if subject is None or str(delivery.subject) == subject
        ]
        return json_response({"ok": True, "webhooks": views})

    async def resend(self, request: web.Request) -> web.Response:
        delivery = self._core.webhooks.deliveries.get(path_id(request))
        if delivery is None:
            raise ControlError("no such webhook", 404)
        verbatim = bool((await read_body(request)).get("verbatim", False))
        attempt = await self._core.webhooks.resend(delivery, verbatim=verbatim)
        return json_response({"ok": True, "attempt": asdict(attempt), "webhook": delivery.view()})

    @abstractmethod
    async def forge(self, request: web.Request) -> web.Response:
        """A claim that something was paid, from somebody who is not the provider."""


def path_id(request: web.Request) -> int:
    return requests.path_id(request, "id")
