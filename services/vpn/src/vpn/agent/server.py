"""The agent's HTTPS interface: who asks is checked first, then translated into one call each."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from time import time
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from chassis import logs
from vpn import node_api
from vpn.adapters.core.errors import CoreRefusedError, CoreUnreachableError
from vpn.adapters.nodes.tls import Stamp, TlsFiles, names
from vpn.agent.holding import RefusedError
from vpn.agent.node import Node

log = logs.get("vpn.agent.server")
KEEPALIVE_SECONDS = 75.0
SHUTDOWN_SECONDS = 5.0
BACKLOG = 128
_STATUS = {
    node_api.OLDER_GENERATION: 409,
    node_api.OTHER_BASE: 409,
    node_api.INVALID: 400,
    node_api.TOO_LARGE: 413,
    node_api.FORBIDDEN: 403,
    node_api.NOT_FOUND: 404,
    node_api.CORE_UNAVAILABLE: 503,
    node_api.NOT_SAVED: 507,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body")


class Server:
    """Listens with mutual TLS; a new certificate is taken without closing the port."""

    def __init__(
        self,
        node: Node,
        files: TlsFiles,
        *,
        client_name: str,
        body_bytes_max: int,
        body_timeout: timedelta,
        handshake_timeout: timedelta,
    ) -> None:
        self._node = node
        self._files = files
        self._client_name = client_name
        self._body_bytes_max = body_bytes_max
        self._body_timeout = body_timeout.total_seconds()
        self._handshake_timeout = handshake_timeout.total_seconds()
        self._socket: socket.socket | None = None
        self._listener: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._stamp: Stamp = ()
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE_SECONDS,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self.port = 0
        self.trouble = ""
        """Why the certificate on disk is not the one in use."""

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=self._body_bytes_max, middlewares=[self._guard])
        app.router.add_put(node_api.SET, self._put_set)
        app.router.add_post(node_api.CHANGES, self._change)
        app.router.add_get(node_api.STATE, self._state)
        app.router.add_get(node_api.USERS, self._users)
        app.router.add_get(node_api.TRAFFIC, self._traffic)
        app.router.add_get(node_api.ONLINE, self._online)
        return app

    async def start(self, listening: socket.socket) -> None:
        await self._runner.setup()
        self._socket = listening
        self.port = self._socket.getsockname()[1]
        await self._listen()

    async def _listen(self) -> None:
        """Serve the one socket with the files as they are now; those before serve no newcomer."""
        assert self._socket is not None
        assert self._runner.server is not None
        stamp = self._files.stamp()
        context, until = self._files.server_context(), self._files.certificate_until()
        listener = await asyncio.get_running_loop().create_server(
            self._runner.server,
            sock=self._socket.dup(),
            ssl=context,
            ssl_handshake_timeout=self._handshake_timeout,
            backlog=BACKLOG,
        )
        before, self._listener = self._listener, listener
        self._context, self._stamp = context, stamp
        self._node.certificate_until = until
        if before is not None:
            before.close()

    async def reload(self) -> None:
        """Take changed files into use. Half-written ones are left for the next look."""
        try:
            if self._files.stamp() == self._stamp:
                return
            await self._listen()
        except (OSError, ssl.SSLError, ValueError) as error:
            self.trouble = f"the new certificate cannot be used: {error}"
            log.warning("certificate_not_reloaded", why=str(error))
            return
        self.trouble = ""
        log.info("certificate_reloaded", until=self._node.certificate_until)

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()
        if self._socket is not None:
            self._socket.close()

    # Every request.

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        peer = transport.get_extra_info("peercert") if transport is not None else None
        if peer is None or self._client_name not in names(peer):
            return _refusal(node_api.FORBIDDEN, "not the control plane's certificate")
        if ssl.cert_time_to_seconds(peer["notAfter"]) <= time():
            # TLS looked when the connection began; it may have been kept alive since.
            return _closing(_refusal(node_api.FORBIDDEN, "the certificate has ended"))
        try:
            if (said := request.headers.get(node_api.NOW_HEADER)) is not None:
                self._node.hear(msgspec.convert(said, datetime))
            response = await handler(request)
        except RefusedError as error:
            log.info("request_refused", path=request.path, code=error.code, why=str(error))
            holding = self._node.keeper.holding
            response = _refusal(error.code, str(error), holding.generation, holding.hash)
        except (CoreUnreachableError, CoreRefusedError) as error:
            response = _refusal(node_api.CORE_UNAVAILABLE, str(error))
        except msgspec.ValidationError as error:
            response = _refusal(node_api.INVALID, str(error))
        except OSError as error:
            response = _refusal(node_api.NOT_SAVED, error.strerror or str(error))
        except web.HTTPException as error:
            code = node_api.NOT_FOUND if error.status in (404, 405) else node_api.INVALID
            response = _refusal(code, error.reason)
        if transport is not None and transport.get_extra_info("sslcontext") is not self._context:
            return _closing(response)  # the next request comes with today's certificates
        return response

    async def _body(self, request: web.Request, kind: type[Body]) -> Body:
        try:
            async with asyncio.timeout(self._body_timeout):
                data = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise RefusedError(
                node_api.TOO_LARGE, f"more than {self._body_bytes_max} bytes"
            ) from None
        except TimeoutError:
            raise RefusedError(node_api.INVALID, "the body did not come in time") from None
        try:
            body = msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise RefusedError(node_api.INVALID, str(error)) from error
        return body

    async def _put_set(self, request: web.Request) -> web.Response:
        body = await self._body(request, node_api.SetRequest)
        self._node.hear(body.now)
        return _answer(await self._node.keeper.put_set(body))

    async def _change(self, request: web.Request) -> web.Response:
        body = await self._body(request, node_api.ChangesRequest)
        self._node.hear(body.now)
        return _answer(await self._node.keeper.change(body))

    async def _state(self, _request: web.Request) -> web.Response:
        return _answer(self._node.state(self.trouble))

    async def _users(self, _request: web.Request) -> web.Response:
        return _answer(await self._node.users())

    async def _traffic(self, request: web.Request) -> web.Response:
        return _answer(await self._node.traffic_page(request.query.get("after", "")))

    async def _online(self, _request: web.Request) -> web.Response:
        return _answer(await self._node.online())


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


def _closing(response: web.StreamResponse) -> web.StreamResponse:
    response.force_close()
    return response


def _refusal(code: str, message: str, generation: int = 0, set_hash: str = "") -> web.Response:
    refused = node_api.Refused(code, message, generation, set_hash)
    return _answer(refused, _STATUS.get(code, 400))
