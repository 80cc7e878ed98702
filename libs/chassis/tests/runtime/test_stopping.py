"""A stop ends within the grace in total, whatever part of it hangs."""

import asyncio
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis import migrations
from chassis.background import Background
from chassis.service import Service
from chassis.settings import DatabaseSettings

GRACE = timedelta(seconds=1.5)


class Stubborn:
    """What swallows every cancel, as asyncio.wait_for on 3.11 can, until the test is over."""

    def __init__(self) -> None:
        self.begun = self.over = False
        self._released = asyncio.Event()

    async def __call__(self) -> None:
        self.begun = True
        while not self._released.is_set():
            try:
                await self._released.wait()
            except asyncio.CancelledError:
                continue
        self.over = True

    def release(self) -> None:
        self._released.set()


@pytest.fixture
async def stubborn() -> AsyncIterator[Stubborn]:
    """Hangs until the test has ended: a stop that waited for it would never return."""
    hangs = Stubborn()
    yield hangs
    hangs.release()


@pytest.mark.parametrize("hanging", ["hook", "consumer", "task", "flush", "pool"])
async def test_a_part_that_hangs_does_not_outlast_the_grace(
    nats_url: str, database_dsn: str, toy_migrations: Path, stubborn: Stubborn, hanging: str
) -> None:
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    settings = DatabaseSettings(
        database_url=database_dsn, nats_url=nats_url, shutdown_grace=GRACE, signatures="off"
    )
    others: list[str] = []

    async def other() -> None:
        others.append("stopped")

    async with Service.start("toy", settings) as service:
        database = await service.database(schema="toy", folder=toy_migrations)
        outbox = await service.outbox(database)

        class Consumer:
            async def stop(self) -> None:
                await stubborn()

        if hanging == "hook":
            service.on_stop(stubborn)
        elif hanging == "consumer":
            service._consumers.append(Consumer())  # type: ignore[arg-type]
        elif hanging == "task":
            service.spawn(stubborn(), name="stubborn")
        elif hanging == "flush":
            outbox.flush = stubborn  # type: ignore[method-assign]
        else:
            database.close = stubborn  # type: ignore[method-assign]
        service.on_stop(other)

    assert (stubborn.begun, stubborn.over) == (True, False)
    assert others == ["stopped"]


async def test_tasks_are_cancelled_and_given_up_within_their_grace(stubborn: Stubborn) -> None:
    background = Background()
    background.spawn(stubborn(), name="stubborn")
    endless = background.spawn(asyncio.Event().wait(), name="endless")
    await asyncio.sleep(0)  # one turn of the loop, so that both have begun

    await background.stop(timedelta(seconds=0.5))

    assert (stubborn.begun, stubborn.over) == (True, False)
    assert endless.cancelled()


PROCESS = """
    import asyncio, atexit, gc, os, sys, threading, time
    from chassis import tracing
    from chassis.service import Service, run_main
    from chassis.settings import ServiceSettings

    class Settings(ServiceSettings):
        pass

    async def run(settings):
        async with Service.start("toy", settings) as service:
            print("up", flush=True)
            if sys.argv[1] == "thread":
                service.spawn(asyncio.to_thread(time.sleep, 30), name="thread")
            elif sys.argv[1] == "loop":
                service.on_stop(blocked)
            elif sys.argv[1] == "exit":
                atexit.register(time.sleep, 6)
            elif sys.argv[1] == "heap":
                heap.extend([] for _ in range(1_000_000))
                atexit.register(quickly, seconds_to_collect())
            elif sys.argv[1] == "telemetry":
                for _ in range(2_000):
                    tracing.start("step").end()
            elif sys.argv[1] == "start":
                await asyncio.Event().wait()
            await service.until_stopped()

    async def blocked():
        time.sleep(30)

    heap = []

    def seconds_to_collect():
        began = time.process_time()
        gc.collect()
        return time.process_time() - began

    def quickly(before):
        if seconds_to_collect() > before / 5:
            os._exit(3)

    run_main(run, Settings)
"""


async def ended_by_sigterm(nats_url: str, hanging: str, grace: str, **more: str) -> int | None:
    """How the process ended after SIGTERM; it hangs for 30 s, so ending in 20 s is by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(PROCESS),
        hanging,
        env={
            "NATS_URL": nats_url,
            "SIGNATURES": "off",
            "SHUTDOWN_GRACE": grace,
            "LOG_FORMAT": "json",
            **more,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output: Any = process.stdout
    try:
        while (line := await output.readline()) != b"up\n":
            assert line, "it ended early"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode


@pytest.mark.parametrize("hanging", ["thread", "loop"])
async def test_a_process_never_outlives_its_grace(nats_url: str, hanging: str) -> None:
    assert await ended_by_sigterm(nats_url, hanging, "1") is not None


async def test_a_start_that_waits_for_what_does_not_come_is_cut_short(nats_url: str) -> None:
    assert await ended_by_sigterm(nats_url, "start", "60") == 0


async def test_an_interpreter_that_ends_slowly_after_a_clean_stop_is_left_alone(
    nats_url: str,
) -> None:
    # A busy machine can make seconds of it: whatever the grace has left may be taken.
    assert await ended_by_sigterm(nats_url, "exit", "20") == 0


async def test_a_collector_that_never_answers_is_left(nats_url: str) -> None:
    connected: list[asyncio.StreamWriter] = []

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        ended = await ended_by_sigterm(nats_url, "telemetry", "5", OTLP_ENDPOINT=endpoint)
    finally:
        server.close()
        for writer in connected:
            writer.close()
    assert (ended, bool(connected)) == (0, True)


async def test_at_the_end_nobody_looks_for_garbage_in_what_lived_till_then(nats_url: str) -> None:
    assert await ended_by_sigterm(nats_url, "heap", "20") == 0
