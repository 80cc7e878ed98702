"""A result larger than memory is refused, whether or not the server says how long it will be."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from devstack.ports import LOOPBACK
from generator.adapters import comfyui
from generator.domain.errors import AttemptFailedError
from generator.domain.failures import Kind
from generator.domain.graphs import ResultFile

LIMIT = 100_000
RESULT = ResultFile(filename="out.mp4", subfolder="", kind="video")


@asynccontextmanager
async def server_of(size, *, told):
    """One that sends this many bytes, and says so before or does not."""
    sent = 0

    async def view(request):
        nonlocal sent
        answer = web.StreamResponse()
        if told:
            answer.content_length = size
        await answer.prepare(request)
        while sent < size:
            piece = bytes(min(10_000, size - sent))
            await answer.write(piece)
            sent += len(piece)
        return answer

    app = web.Application()
    app.router.add_get("/view", view)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    port = runner.addresses[0][1]
    driver = comfyui.ComfyUI(url=f"http://{LOOPBACK}:{port}", name="test", may_act=lambda: True)
    try:
        yield driver, lambda: sent
    finally:
        await driver.close()
        await runner.cleanup()


@pytest.mark.parametrize("told", [True, False])
async def test_a_result_up_to_the_limit_is_taken(told, monkeypatch):
    monkeypatch.setattr(comfyui, "RESULT_BYTES_MAX", LIMIT)

    async with server_of(LIMIT, told=told) as (driver, _):
        assert await driver.download(RESULT) == bytes(LIMIT)


@pytest.mark.parametrize("told", [True, False])
async def test_a_larger_result_is_not_read_to_its_end(told, monkeypatch):
    monkeypatch.setattr(comfyui, "RESULT_BYTES_MAX", LIMIT)

    async with server_of(1_000 * LIMIT, told=told) as (driver, sent):
        with pytest.raises(AttemptFailedError, match="too large") as raised:
            await driver.download(RESULT)

        assert raised.value.failure.kind is Kind.OUTPUT_DAMAGED
        assert sent() < 500 * LIMIT
