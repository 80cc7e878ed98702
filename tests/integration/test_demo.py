"""`make demo` against a running platform: it delivers, or says at once why it will not."""

import asyncio
import os
import sys

import pytest

from devstack.stage import Stage
from devstack.testing import wait_until

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]

# Far below the three minutes it would wait for a result.
NOTICED_SECONDS = 60.0
DOWN_SECONDS = 25.0
"""Longer than it takes to start the demo on a busy machine: it has to find nobody there."""


async def demo(stage: Stage) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devstack", "demo"),
        env={**os.environ, "VITRINE_STATE_DIR": str(stage.folder), "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), NOTICED_SECONDS)
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_demo_delivers_and_shows_the_trace(steady: Stage) -> None:
    code, output = await demo(steady)

    assert code == 0, output
    assert "Delivered after" in output
    assert "trace" in output


async def test_the_demo_says_that_its_order_failed(steady: Stage) -> None:
    fault = {"kind": "error", "type": "ValueError", "message": "a node fell over", "times": -1}
    await steady.comfyui("faults", fault)

    code, output = await demo(steady)

    assert code == 1, output
    assert "did not get through: the order did not succeed, and nothing was charged" in output


async def test_the_demo_says_that_its_photo_could_not_be_fetched(steady: Stage) -> None:
    await steady.faults({"method": "getFile", "kind": "500", "times": 100})
    try:
        code, output = await demo(steady)
    finally:
        await steady.no_faults()

    assert code == 1, output
    assert "the photo could not be" in output


async def test_the_demo_says_that_no_server_is_there(steady: Stage) -> None:
    url = f"{steady.urls['health']['generator']}/readyz"

    async def served(wanted: bool) -> bool:
        async with steady.session.get(url) as answer:
            assert answer.ok, "a generator is ready with and without its server"
            return ("comfyui" not in (await answer.json())["notes"]) is wanted

    await steady.comfyui("restart", {"down_seconds": DOWN_SECONDS})
    await wait_until(lambda: served(wanted=False), "a generator without its server", DOWN_SECONDS)

    code, output = await demo(steady)

    await wait_until(lambda: served(wanted=True), "the server is back", 60.0)
    assert code == 1, output
    assert "generator is not ready: ComfyUI: " in output
