"""The API's way in: the token, the method, the envelope of the answer."""

import hmac
from collections.abc import Callable
from functools import partial

from aiohttp import web

from simulators.crypto_pay.core import Core
from simulators.crypto_pay.errors import ApiError, method_not_found, unauthorized
from simulators.crypto_pay.methods import METHODS
from simulators.crypto_pay.params import Params
from simulators.provider.calls import Call
from simulators.provider.gate import Answer, Gate
from simulators.telegram.requests import json_response

TOKEN_HEADER = "Crypto-Pay-API-Token"
NAMES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
}


def spoiled_answer(status: int, name: str | None) -> Answer:
    return ApiError(name or NAMES[status], status).body(), status


class Api:
    def __init__(self, core: Core) -> None:
        self._core = core
        self.gate = Gate(core.options, core.faults, core.clock, spoiled_answer)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/{method}", self.call),
            web.post("/api/{method}", self.call),
        ]

    async def call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        try:
            params = await Params.read(request)
        except ApiError as error:
            return json_response(error.body(), error.code)
        call = self._core.calls.note(method, request.method, params.values)
        token = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(token.encode(), self._core.options.token.encode()):
            call.error, call.status = "UNAUTHORIZED", 401
            return json_response(unauthorized().body(), 401)
        run: Callable[[], Answer] = partial(self._run, method.lower(), params, call)
        return await self.gate.pass_through(request, call, run)

    def _run(self, method: str, params: Params, call: Call) -> Answer:
        try:
            if method not in METHODS:
                raise method_not_found()
            result = METHODS[method](self._core, params)
        except ApiError as error:
            call.error = error.name
            return error.body(), error.code
        return {"ok": True, "result": result}, 200
