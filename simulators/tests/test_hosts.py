"""In a pod a simulator is reached from other pods: it listens where it is told, and only there."""

import asyncio
import sys
from urllib.parse import urlsplit

import pytest

ANOTHER = "127.0.0.2"
"""Loopback as well, and not where they listen by themselves."""
PROGRAMS = {
    "telegram": (),
    "crypto_pay": (),
    "yookassa": (),
    "comfyui": ("--data-dir", "{folder}"),
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_listens_on_the_host_it_is_given(name, tmp_path):
    more = [word.format(folder=tmp_path) for word in PROGRAMS[name]]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"simulators.{name}", "--host", ANOTHER, "--port", "0", *more),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        port = urlsplit(line.split()[1]).port

        _, writer = await asyncio.open_connection(ANOTHER, port)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            await process.wait()
