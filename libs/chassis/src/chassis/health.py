"""`/livez` and `/readyz` on a small HTTP server of its own, so that no framework is imported."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from chassis import logs

log = logs.get("chassis.health")
Check = Callable[[], Awaitable[str | None]]
CHECK_TIMEOUT_SECONDS = 2.0
REQUEST_TIMEOUT_SECONDS = 5.0
REQUEST_BYTES_MAX = 8_192


class Health:
    """Liveness depends on nothing outside the process; readiness on every added check.

    A check returns None when well and else one sentence that says what is missing. A note is a
    check that `/readyz` tells and that decides nothing; for who asks `/readyz?all` it does.
    """

    def __init__(self) -> None:
        self._live: dict[str, Check] = {}
        self._ready: dict[str, Check] = {}
        self._notes: dict[str, Check] = {}
        self._server: asyncio.Server | None = None
        self.port = 0
        self.phase = "starting"
        """Not ready while it says anything: checks are added one by one as a process starts."""

    def add_check(self, name: str, check: Check) -> None:
        """Add a condition of readiness."""
        self._ready[name] = check

    def add_note(self, name: str, check: Check) -> None:
        """Add what a reader should know and no condition of readiness."""
        self._notes[name] = check

    def add_liveness(self, name: str, check: Check) -> None:
        """Add a condition of liveness: only what a restart of this process would mend."""
        self._live[name] = check

    async def start(self, host: str, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, host, port, limit=REQUEST_BYTES_MAX)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def report(self, checks: dict[str, Check]) -> dict[str, str]:
        """Return the checks that are not well, by name."""
        asked = dict(checks)  # more may be added meanwhile
        results = await asyncio.gather(*(_run(check) for check in asked.values()))
        return {name: why for name, why in zip(asked, results, strict=True) if why is not None}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                status, body = await self._answer(*request.split(b" ", 2)[1].partition(b"?")[::2])
                head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            log.debug("health_request_dropped")
        except IndexError:
            log.debug("health_request_malformed")
        finally:
            writer.close()

    async def _answer(self, path: bytes, query: bytes) -> tuple[str, bytes]:
        if path not in (b"/livez", b"/readyz"):
            return "404 Not Found", b"{}"
        unwell = await self.report(self._live if path == b"/livez" else self._ready)
        if path == b"/readyz" and self.phase:
            unwell["process"] = self.phase
        told: dict[str, object] = {"unwell": unwell}
        ok = not unwell
        if path == b"/readyz" and self._notes:
            told["notes"] = await self.report(self._notes)
            ok = ok and not (query == b"all" and told["notes"])
        body = msgspec.json.encode({"ok": ok, **told})
        return ("200 OK" if ok else "503 Service Unavailable"), body


async def _run(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
    except Exception as error:
        log.exception("health_check_failed")
        return type(error).__name__
