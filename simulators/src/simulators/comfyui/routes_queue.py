"""Routes around prompts: posting, queue, interrupt, history."""

import time
import uuid
from typing import Any

from aiohttp import web

from simulators.comfyui.faults import searchable
from simulators.comfyui.process import Process
from simulators.comfyui.prompts import Item
from simulators.comfyui.record import PromptRecord, now_ms
from simulators.comfyui.validation import validate

SERVER_ERROR = "500 Internal Server Error\n\nServer got itself in trouble"
SECRET_KEYS = ("auth_token_comfy_org", "api_key_comfy_org")


def server_error() -> web.Response:
    return web.Response(status=500, text=SERVER_ERROR)


def refusal(error: dict[str, Any], node_errors: dict[str, Any] | None = None) -> web.Response:
    return web.json_response({"error": error, "node_errors": node_errors or {}}, status=400)


def simple_error(kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": message, "extra_info": {}}


def is_canonical_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


class QueueRoutes:
    def __init__(self, process: Process) -> None:
        self._process = process

    def table(self) -> list[web.RouteDef]:
        return [
            web.post("/prompt", self.post_prompt),
            web.get("/prompt", self.get_prompt),
            web.get("/queue", self.get_queue),
            web.post("/queue", self.post_queue),
            web.post("/interrupt", self.interrupt),
            web.get("/history", self.get_history),
            web.post("/history", self.post_history),
            web.get("/history/{prompt_id}", self.get_history_of_one),
        ]

    def _number(self, body: dict[str, Any]) -> float:
        """The place in the queue; the server's counter moves unless the client names a number."""
        if "number" in body:
            return float(body["number"])
        number = self._process.counter
        self._process.counter += 1
        return -number if body.get("front") else number

    def _prompt_id(self, body: dict[str, Any]) -> str | None:
        """The id to use, or None for one this version refuses."""
        strict = self._process.mode.prompt_ids_are_uuids and self._process.settings.check_prompt_ids
        if "prompt_id" not in body or (strict and body["prompt_id"] is None):
            return str(uuid.uuid4())
        given = body["prompt_id"]
        if strict and not is_canonical_uuid(given):
            return None
        return str(given)

    async def post_prompt(self, request: web.Request) -> web.Response:
        posted_at_ms = now_ms()
        body = await request.json()
        number = self._number(body)
        if "prompt" not in body:
            return refusal(simple_error("no_prompt", "No prompt provided"))
        graph = body["prompt"]
        prompt_id = self._prompt_id(body)
        if prompt_id is None:
            return refusal(simple_error("invalid_prompt_id", "prompt_id must be a valid UUID"))
        text = searchable(graph, body.get("extra_data"), prompt_id)
        if self._process.faults.take("prompt_500_not_queued", text):
            return server_error()
        verdict = validate(
            graph, self._process.storage, self._process.mode, body.get("partial_execution_targets")
        )
        if verdict.error is not None:
            return refusal(verdict.error, verdict.node_errors)
        extra_data = self._extra_data(body)
        item: Item = (number, prompt_id, graph, extra_data, verdict.outputs)
        self._enqueue(item, posted_at_ms)
        if slow := self._process.faults.take("slow_prompt", text):
            await self._process.pause(slow.seconds)
        if self._process.faults.take("prompt_500_queued", text):
            return server_error()
        answer = {"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors}
        return web.json_response(answer)

    def _extra_data(self, body: dict[str, Any]) -> dict[str, Any]:
        extra_data = dict(body.get("extra_data") or {})
        for key in SECRET_KEYS:
            extra_data.pop(key, None)
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        if self._process.mode.stamps_create_time:
            extra_data["create_time"] = int(time.time() * 1000)
        return extra_data

    def _enqueue(self, item: Item, posted_at_ms: float) -> None:
        number, prompt_id, _, extra_data, _ = item
        record = PromptRecord(
            prompt_id=prompt_id,
            number=number,
            client_id=extra_data.get("client_id"),
            extra_data=extra_data,
            posted_at_ms=posted_at_ms,
            incarnation=self._process.incarnation,
        )
        self._process.log.posted(record)
        self._process.queue.put(item)
        self._process.broadcast_status()

    async def get_prompt(self, _request: web.Request) -> web.Response:
        remaining = self._process.queue.remaining()
        return web.json_response({"exec_info": {"queue_remaining": remaining}})

    async def get_queue(self, _request: web.Request) -> web.Response:
        running = self._process.queue.running()
        return web.json_response(
            {
                "queue_running": [list(running)] if running else [],
                "queue_pending": [list(item) for item in self._process.queue.pending()],
            }
        )

    async def post_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        gone: list[str] = []
        if body.get("clear"):
            gone = self._process.queue.clear()
        gone += [i for i in body.get("delete", []) if self._process.queue.delete(i)]
        self.deleted(gone)
        return web.Response(status=200)

    def deleted(self, prompt_ids: list[str]) -> None:
        for prompt_id in prompt_ids:
            self._process.log.deleted(prompt_id)
        if prompt_ids:
            self._process.broadcast_status()

    async def interrupt(self, request: web.Request) -> web.Response:
        body = await request.json() if await request.read() else {}
        wanted = body.get("prompt_id")
        running = self._process.queue.running()
        # The flag is set even when idle: the next prompt clears it before it starts.
        if wanted is None or (running is not None and running[1] == wanted):
            self._process.interrupted.set()
        return web.Response(status=200)

    async def get_history(self, request: web.Request) -> web.Response:
        max_items = request.query.get("max_items")
        offset = int(request.query.get("offset", -1))
        page = self._process.history.page(int(max_items) if max_items else None, offset)
        return web.json_response(page)

    async def get_history_of_one(self, request: web.Request) -> web.Response:
        return web.json_response(self._process.history.one(request.match_info["prompt_id"]))

    async def post_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._process.history.clear()
        for prompt_id in body.get("delete", []):
            self._process.history.delete(prompt_id)
        return web.Response(status=200)
