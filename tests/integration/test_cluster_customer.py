"""What `helm test` runs in a cluster: a real order, by a program that knows only the simulator."""

import asyncio
import sys
from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("platform")]


async def run(*words):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators.customer", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(90):
        written, _ = await process.communicate()
    return process.returncode, written.decode()


async def test_it_orders_and_gets_a_picture(steady):
    telegram = urlsplit(steady.urls["telegram_control"])._replace(path="").geturl()

    code, said = await run("--telegram", telegram, "--patience", "60")

    assert code == 0, said
    assert "ordered image.product_scene, delivered after" in said


async def test_it_gives_up_when_nobody_answers():
    code, said = await run("--telegram", "http://127.0.0.1:1", "--patience", "1")

    assert code == 1
    assert said.count("no order yet") >= 2, "it tries again"
