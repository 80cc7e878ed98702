"""The HTTP face of the Bot API: token, method table, faults, call log, file downloads."""

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from simulators.telegram.clock import monotonic_ms
from simulators.telegram.core import Call, Core
from simulators.telegram.errors import ApiError, not_found, too_many_requests, unauthorized
from simulators.telegram.faults import Fault
from simulators.telegram.methods import METHODS
from simulators.telegram.params import Params

TOKEN = re.compile(r"\d+:[\w-]+")
DESCRIPTIONS = {
    400: "Bad Request: the chat is not available right now",
    403: "Forbidden: bot was blocked by the user",
    500: "Internal Server Error",
    502: "Bad Gateway",
}
PROXY_PAGE = (
    "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
)
CHAT_PARAMS = ("chat_id", "user_id")
SLICE_BYTES = 1 << 16


class Unanswered(Exception):  # noqa: N818 - not an error: the call is to be left without an answer
    """The connection is to be cut without an answer."""


class BotApi:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._closing = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/bot{token}/{method}", self.call),
            web.route("*", "/bot{token}/test/{method}", self.call),
            web.get("/file/bot{token}/{path:.+}", self.download),
        ]

    def close(self) -> None:
        """Let go of the calls that hang on purpose."""
        self._closing.set()

    def _check_token(self, request: web.Request) -> None:
        token = request.match_info["token"]
        if not TOKEN.fullmatch(token):
            raise not_found()
        if token != self._core.options.token:
            raise unauthorized()

    async def call(self, request: web.Request) -> web.StreamResponse:
        received_at = monotonic_ms()
        method = request.match_info["method"].lower()
        try:
            self._check_token(request)
            params = await Params.read(request)
        except ApiError as error:
            return _json(error.body(), error.code)
        call = self._core.log_call(request.match_info["method"], _chat_of(params), received_at)
        try:
            response = await self._answer(method, params, call)
        except Unanswered:
            call.status = 0
            _cut(request)
            raise asyncio.CancelledError from None
        finally:
            call.duration_ms = monotonic_ms() - received_at
        call.status = response.status
        return response

    async def _answer(self, method: str, params: Params, call: Call) -> web.Response:
        core = self._core
        latency = core.options.latency_seconds + core.faults.latency(method, call.chat_id)
        fault = core.faults.pick(method, call.chat_id)
        if fault is not None:
            call.fault = fault.kind
            if fault.after:
                await self._run(method, params, call)
            await asyncio.sleep(latency)
            return await self._spoil(fault)
        body, status = await self._run(method, params, call)
        if latency:
            await asyncio.sleep(latency)
        if method == "getupdates" and status == 200:
            for update in body["result"]:
                core.updates.mark_delivered(update["update_id"])
        return _json(body, status)

    async def _run(self, method: str, params: Params, call: Call) -> tuple[dict[str, Any], int]:
        try:
            limited = self._core.faults.rate_limit(method, call.chat_id)
            if limited is not None:
                raise too_many_requests(limited)
            if method not in METHODS:
                raise not_found()
            result = await METHODS[method](self._core, params)
        except ApiError as error:
            call.error = error.description
            return error.body(), error.code
        return {"ok": True, "result": result}, 200

    async def _spoil(self, fault: Fault) -> web.Response:
        if fault.kind == "reset":
            raise Unanswered
        if fault.kind == "hang":
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), fault.seconds or None)
            raise Unanswered
        code = int(fault.kind)
        if fault.html:
            page = PROXY_PAGE.format(f"{code} {DESCRIPTIONS.get(code, 'Error')}")
            return web.Response(text=page, status=code, content_type="text/html")
        if code == 429:
            error = too_many_requests(fault.retry_after)
        else:
            error = ApiError(code, fault.description or DESCRIPTIONS[code])
        return _json(error.body(), code)

    async def call_from_webhook(self, method: str, values: dict[str, Any]) -> None:
        """A method named in the bot's answer to a webhook; its result goes nowhere."""
        params = Params(values)
        call = self._core.log_call(method, _chat_of(params), monotonic_ms())
        _, call.status = await self._run(method.lower(), params, call)

    async def download(self, request: web.Request) -> web.StreamResponse:
        core = self._core
        try:
            self._check_token(request)
            stored = core.files.at_path(request.match_info["path"])
            if stored is None:
                raise not_found()
        except ApiError as error:
            return _json(error.body(), error.code)
        if latency := core.faults.latency("file", None):
            await asyncio.sleep(latency)
        if fault := core.faults.pick("file", None):
            try:
                return await self._spoil(fault)
            except Unanswered:
                _cut(request)
                raise asyncio.CancelledError from None
        headers = {"Content-Type": "application/octet-stream"}
        place = core.files.location(stored)
        if rate := core.options.download_bytes_per_second:
            return await _slowly(request, place, rate, headers)
        return web.FileResponse(place, headers=headers)


async def _slowly(
    request: web.Request, place: Path, bytes_per_second: float, headers: dict[str, str]
) -> web.StreamResponse:
    """Send a file as a narrow line would: a slice, a pause."""
    response = web.StreamResponse(headers=headers)
    response.content_length = place.stat().st_size
    await response.prepare(request)
    with place.open("rb") as file:
        while chunk := file.read(SLICE_BYTES):
            await response.write(chunk)
            await asyncio.sleep(len(chunk) / bytes_per_second)
    await response.write_eof()
    return response


def _chat_of(params: Params) -> int | None:
    for name in CHAT_PARAMS:
        try:
            return int(params.values[name])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _cut(request: web.Request) -> None:
    """Drop the connection the hard way: the client sees a reset, not a polite end."""
    if request.transport is not None:
        request.transport.abort()


def _json(body: dict[str, Any], status: int) -> web.Response:
    encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=encoded, status=status, content_type="application/json")
