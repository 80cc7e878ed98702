"""The program: starts, prints its address, stops on a signal."""

import asyncio
import signal
import sys

import aiohttp
import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_listens_and_stops_on_a_signal(number, tmp_path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators.telegram", "--port", "0"),
        *("--token", "123456:TEST", "--state", str(tmp_path / "state.db")),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        word, url = line.split()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/bot123456:TEST/getMe") as response:
                me = await response.json()
            # An open page and a waiting poll must not keep the program alive.
            page = await session.get(f"{url}/control/events")
            polling = asyncio.create_task(
                session.get(f"{url}/bot123456:TEST/getUpdates", params={"timeout": 50})
            )
            await page.content.readuntil(b"\n\n")
            process.send_signal(number)
            async with asyncio.timeout(30):
                code = await process.wait()
            await asyncio.gather(polling, return_exceptions=True)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert word == "listening"
    assert me["result"]["id"] == 123456
    assert code == 0
