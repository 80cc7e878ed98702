"""A small OTLP/HTTP collector with a page: what happened to an order, span by span."""

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiohttp import web
from google.protobuf.message import DecodeError

from devstack.ports import LOOPBACK
from devstack.trace_store import TraceStore, decode

BODY_BYTES_MAX = 32 * 1024 * 1024
LIMIT = 100
PROTOBUF = "application/x-protobuf"
PAGE = Path(__file__).with_name("traces_page.html")
STORE: web.AppKey[TraceStore] = web.AppKey("store", TraceStore)


def build(store: TraceStore) -> web.Application:
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app[STORE] = store
    app.add_routes(
        [
            web.post("/v1/traces", take_spans),
            # Services send these to the same place; only spans are kept here.
            web.post("/v1/metrics", take_and_drop),
            web.post("/v1/logs", take_and_drop),
            web.get("/api/traces", list_traces),
            web.get("/api/traces/{trace_id}", show_trace),
            web.get("/healthz", say_healthy),
            web.get("/", show_page),
        ]
    )
    return app


async def take_spans(request: web.Request) -> web.Response:
    if request.content_type != PROTOBUF:
        raise web.HTTPUnsupportedMediaType(text=f"only {PROTOBUF}")
    try:
        spans = decode(await request.read())
    except DecodeError as error:
        raise web.HTTPBadRequest(text=f"not an OTLP export: {error}") from error
    request.app[STORE].add(spans)
    # An empty message is OTLP's word for: everything was taken.
    return web.Response(body=b"", content_type=PROTOBUF)


async def take_and_drop(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=b"", content_type=PROTOBUF)


async def list_traces(request: web.Request) -> web.Response:
    limit = request.query.get("limit", str(LIMIT))
    if not limit.isdigit():
        raise web.HTTPBadRequest(text="limit is a number")
    order_id = request.query.get("order_id") or None
    return _json({"traces": request.app[STORE].summaries(order_id, int(limit))})


async def show_trace(request: web.Request) -> web.Response:
    trace_id = request.match_info["trace_id"]
    rows = request.app[STORE].waterfall(trace_id)
    if not rows:
        raise web.HTTPNotFound(text="no such trace (any more)")
    return _json({"trace_id": trace_id, "spans": rows})


async def say_healthy(_request: web.Request) -> web.Response:
    return _json({"ok": True})


async def show_page(_request: web.Request) -> web.Response:
    return web.Response(text=PAGE.read_text(), content_type="text/html")


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


async def serve(port: int) -> None:
    runner = web.AppRunner(build(TraceStore()), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="devstack.traces", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
