import asyncio
import os
import signal
import sys
import time

import pytest

from devstack.errors import ChildDiedError, NotReadyError
from devstack.processes import ChildProcess
from devstack.testing import ended, wait_until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("up", flush=True)
time.sleep(60)
"""
WITH_WORKER = """
import subprocess
worker = subprocess.Popen(["sleep", "60"])
print(worker.pid, flush=True)
worker.wait()
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


async def started(code: str) -> tuple[ChildProcess, list[str]]:
    lines: list[str] = []
    child = ChildProcess("child", python(code), output=lines.append)
    child.start()
    await wait_until(lambda: bool(lines), "the first line")
    return child, lines


async def test_terminate_lets_a_child_finish_in_its_own_way():
    child, _ = await started(POLITE)

    await child.terminate(grace_seconds=10)

    assert child.returncode == 7


async def test_terminate_kills_a_child_that_ignores_it():
    child, _ = await started(STUBBORN)

    await child.terminate(grace_seconds=0.2)

    assert child.returncode == -signal.SIGKILL


async def test_kill9_takes_workers_of_the_child_along():
    child, lines = await started(WITH_WORKER)
    worker = int(lines[0])
    assert not ended(worker)

    await child.kill9()

    await wait_until(lambda: ended(worker), "end of the worker")


async def test_what_is_long_gone_is_not_killed_again(monkeypatch):
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, _number: killed.append(group))
    child = ChildProcess("child", python("pass"))
    child.start()

    await child.wait()
    await child.kill9()
    await child.terminate()

    # By now another process of this machine may lead a group of that number.
    assert killed == [child.pid]


async def test_workers_of_a_child_that_was_seen_to_end_are_taken_along():
    child, lines = await started(WITH_WORKER)
    os.kill(child.pid, signal.SIGKILL)

    await wait_until(lambda: not child.running, "end of the child")

    await wait_until(lambda: ended(int(lines[0])), "end of the worker")


async def test_last_words_are_read_however_late():
    lines: list[str] = []

    def slow(line: str) -> None:
        time.sleep(1.5)  # the reader is not given the processor
        lines.append(line)

    await ChildProcess("child", python("print('last')"), output=slow).run()

    assert lines == ["last"]


async def test_wait_ready_says_so_when_the_child_ends_instead():
    child = ChildProcess("short-lived", python("raise SystemExit(3)"))
    child.start()

    async def never() -> bool:
        return False

    with pytest.raises(ChildDiedError, match="short-lived ended with 3"):
        await child.wait_ready(never)


async def test_wait_ready_gives_up_after_its_timeout():
    child, _ = await started(POLITE)

    async def never() -> bool:
        return False

    with pytest.raises(NotReadyError, match="child was not ready"):
        await child.wait_ready(never, timeout_seconds=0.1)
    await child.kill9()


async def test_a_child_is_not_started_from_a_pool_thread():
    child = ChildProcess("child", python("pass"))

    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(child.start)


async def test_output_goes_to_a_file_across_restarts(tmp_path):
    log = tmp_path / "child.log"
    child = ChildProcess("child", python("print('hello')"), output=log)

    await child.run()
    await child.run()

    assert log.read_text() == "hello\nhello\n"


async def test_run_reports_failure():
    with pytest.raises(ChildDiedError, match="ended with 5"):
        await ChildProcess("child", python("raise SystemExit(5)")).run()


async def test_a_child_gets_exactly_the_environment_it_was_given():
    lines: list[str] = []
    code = "import os; print(sorted(os.environ))"
    child = ChildProcess("child", python(code), environment={"ONLY": "1"}, output=lines.append)

    await child.run()

    await wait_until(lambda: bool(lines), "the line")
    assert "ONLY" in lines[0]
    assert "PATH" not in lines[0]


async def test_a_child_may_step_aside_for_others():
    lines: list[str] = []
    # The parent sets it once the child is there, so the child looks until it is set.
    code = f"""
import os, time
deadline = time.monotonic() + 10
while os.nice(0) == {os.nice(0)} and time.monotonic() < deadline:
    time.sleep(0.01)
print(os.nice(0))
"""
    child = ChildProcess("child", python(code), output=lines.append, niceness=10)

    await child.run()

    assert lines == [str(os.nice(0) + 10)]
