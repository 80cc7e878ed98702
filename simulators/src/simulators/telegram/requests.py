"""Reads control requests and answers them, also when something was wrong."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from simulators.telegram.errors import ApiError, ControlError
from simulators.telegram.params import Upload, read_parts

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def control_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say plainly what was wrong with a control call."""
    if not request.path.startswith("/control/"):
        return await handler(request)
    try:
        return await handler(request)
    except ControlError as error:
        return json_response({"ok": False, "error": error.message}, error.status)
    except ApiError as error:
        status = 404 if "not found" in error.description else error.code
        return json_response({"ok": False, "error": error.description}, status)
    except (TypeError, ValueError) as error:
        return json_response({"ok": False, "error": str(error)}, 400)


async def read_body(request: web.Request) -> Json:
    """JSON or a form; an empty body is an empty object."""
    if request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return dict(await request.post())
    raw = await request.read()
    body = json.loads(raw) if raw else {}
    if not isinstance(body, dict):
        raise ControlError("a JSON object is needed")
    return body


async def read_uploads(request: web.Request) -> tuple[list[Upload], Json]:
    if request.content_type != "multipart/form-data":
        raise ControlError("multipart/form-data is needed")
    uploads: list[Upload] = []
    values: Json = {}
    async for name, value in read_parts(request):
        if isinstance(value, Upload):
            uploads.append(value)
        else:
            values[name] = value
    return uploads, values


def path_id(request: web.Request, name: str) -> int:
    try:
        return int(request.match_info[name])
    except ValueError:
        raise ControlError(f"{name} must be a number") from None


def user_id(request: web.Request) -> int:
    user_id = path_id(request, "user_id")
    if user_id <= 0:
        raise ControlError("a user's id is positive")
    return user_id


def base_url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def json_response(body: Json, status: int = 200) -> web.Response:
    encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=encoded, status=status, content_type="application/json")
