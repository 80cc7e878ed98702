"""The API's way in: the credentials, the idempotence key, the method."""

import hmac
from functools import partial

from aiohttp import encode_basic_auth, web

from simulators.provider.calls import Call
from simulators.provider.gate import Answer, Gate
from simulators.telegram.requests import json_response
from simulators.yookassa import idempotence
from simulators.yookassa.core import Core
from simulators.yookassa.errors import ApiError
from simulators.yookassa.methods import ROUTES, Method, Question
from simulators.yookassa.requests import read_json


def spoiled_answer(status: int, name: str | None) -> Answer:
    return ApiError(name or "As ordered", status=status).body(), status


class Api:
    def __init__(self, core: Core) -> None:
        self._core = core
        self.gate = Gate(core.options, core.faults, core.clock, spoiled_answer)

    def routes(self) -> list[web.RouteDef]:
        return [web.route(verb, path, partial(self.call, method)) for verb, path, method in ROUTES]

    async def call(self, method: Method, request: web.Request) -> web.StreamResponse:
        core = self._core
        core.cancel_overdue()
        shown = {**request.match_info, **request.query}
        call = core.calls.note(method.__name__, request.method, shown)
        try:
            self._check_credentials(request)
            body = read_json(await request.read(), request.content_type)
        except ApiError as error:
            call.error, call.status = error.code, error.status
            return json_response(error.body(), error.status)
        call.params |= {name: str(value) for name, value in body.items()}
        asked = Question(request.match_info.get("id", ""), request.query, body)
        run = partial(self._run, method, request, asked, call)
        return await self.gate.pass_through(request, call, run)

    def _check_credentials(self, request: web.Request) -> None:
        options = self._core.options
        right = encode_basic_auth(options.shop_id, options.secret)
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), right.encode()):
            raise ApiError("Login has illegal format or is unknown", "Authorization", status=401)

    def _run(self, method: Method, request: web.Request, asked: Question, call: Call) -> Answer:
        key = request.headers.get(idempotence.HEADER, "")
        answers = self._core.answers
        try:
            if request.method == "GET":
                return method(self._core, asked), 200
            answer = answers.find(key, request.path, asked.body)
            if answer is None:
                answer = method(self._core, asked)
                answers.keep(key, request.path, asked.body, answer)
        except ApiError as error:
            call.error = error.code
            return error.body(), error.status
        return answer, 200
