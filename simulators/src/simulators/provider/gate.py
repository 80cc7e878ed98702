"""What an API call goes through: it is logged, delayed, and spoiled when a fault was ordered."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from simulators.provider.calls import Call
from simulators.provider.faults import Fault, Faults
from simulators.provider.options import ProviderOptions
from simulators.telegram.clock import SimClock
from simulators.telegram.requests import json_response

Answer = tuple[dict[str, Any], int]
GATEWAY_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class UnansweredError(Exception):
    """The caller gets no answer: its connection is cut."""


class Gate:
    def __init__(
        self,
        options: ProviderOptions,
        faults: Faults[Any],
        clock: SimClock,
        spoiled_answer: Callable[[int, str | None], Answer],
    ) -> None:
        """`spoiled_answer`: the provider's error for a status, and a name a fault gives it."""
        self._options = options
        self._faults = faults
        self._clock = clock
        self._spoiled_answer = spoiled_answer
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let go of those who hang."""
        self._closing.set()

    async def pass_through(
        self, request: web.Request, call: Call, run: Callable[[], Answer]
    ) -> web.StreamResponse:
        began = time.monotonic()
        try:
            response = await self._answer(request, call, run)
        except UnansweredError:
            cut(request)
            raise asyncio.CancelledError from None
        finally:
            call.duration_ms = (time.monotonic() - began) * 1_000
        call.status = response.status
        return response

    async def _answer(
        self, request: web.Request, call: Call, run: Callable[[], Answer]
    ) -> web.Response:
        method = call.method.lower()
        fault = self._faults.answer(method)
        latency = self._options.latency_seconds + self._faults.latency(method)
        if fault is None:
            answer = run()
            await asyncio.sleep(latency)
            return json_response(*answer)
        call.fault = fault.kind
        if fault.kind == "late_call":
            # Whoever called knows nothing, and it is carried out by the clock, long after.
            cut(request)
            await self._clock.wait_until(self._clock.now() + fault.seconds)
            run()
            raise UnansweredError
        if fault.after:
            run()
        await asyncio.sleep(latency)
        return await self._spoil(fault)

    async def _spoil(self, fault: Fault) -> web.Response:
        if fault.kind == "hang" or (fault.kind == "lost_answer" and fault.seconds):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), fault.seconds or None)
        if fault.kind in {"hang", "reset", "lost_answer"}:
            raise UnansweredError
        status = int(fault.kind)
        if status in {502, 503}:
            # These come from what stands before the API, and are no JSON.
            reason = "502 Bad Gateway" if status == 502 else "503 Service Temporarily Unavailable"
            page = GATEWAY_PAGE.format(reason)
            return web.Response(text=page, status=status, content_type="text/html")
        return json_response(*self._spoiled_answer(status, fault.name))


def cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
