"""The first process of a container passes signals on, buries orphans and ends as its child ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vitrine_tools.images import init

INIT = [sys.executable, "-I", "-S", str(Path(init.__file__))]
PATIENCE_SECONDS = 20.0
# The first process of a container adopts orphans; here it has to ask for that.
ADOPTING = "import ctypes, runpy, sys; ctypes.CDLL(None).prctl(36, 1); sys.argv = sys.argv[1:]; "
RUN = "runpy.run_path(sys.argv[0], run_name='__main__')"


def run(*command: str) -> int:
    return subprocess.run([*INIT, *command], timeout=PATIENCE_SECONDS, check=False).returncode


@pytest.mark.parametrize("code", [0, 1, 78])
def test_it_ends_as_the_child_ends(code: int) -> None:
    assert run(sys.executable, "-S", "-c", f"raise SystemExit({code})") == code


def test_a_killed_child_is_told_in_the_shell_s_words() -> None:
    assert run(sys.executable, "-S", "-c", "import os; os.kill(os.getpid(), 9)") == 128 + 9


def test_a_command_that_is_not_there_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("no-such-program") == init.NOT_FOUND
    assert "no-such-program" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_child(number: signal.Signals) -> None:
    waiting = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    with subprocess.Popen(
        [*INIT, sys.executable, "-S", "-c", waiting], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"

        process.send_signal(number)

        assert process.wait(PATIENCE_SECONDS) == 42


def test_orphans_are_buried() -> None:
    orphan = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        print(os.getpid(), flush=True)\n"
        "        os._exit(0)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "sys.stdin.read()\n"
    )
    shim = [sys.executable, "-c", ADOPTING + RUN, str(Path(init.__file__))]
    with subprocess.Popen(
        [*shim, sys.executable, "-S", "-c", orphan], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        number = int(process.stdout.readline())

        deadline = time.monotonic() + PATIENCE_SECONDS
        while Path(f"/proc/{number}").exists():
            assert time.monotonic() < deadline, "a zombie is left"
            time.sleep(0.01)

        process.stdin.close()
        assert process.wait(PATIENCE_SECONDS) == 0
