import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from devstack.ports import LOOPBACK, is_free
from devstack.stage import free_port_base
from devstack.testing import ended, scratch_folder, wait_until
from devstack.urls import Port

TOY = Path(__file__).with_name("toy_platform.py")
STOP_TIMEOUT_SECONDS = 30.0


class Terminal:
    """What a person does and sees: commands, their output, Ctrl-C."""

    def __init__(self, folder: Path) -> None:
        self.state_dir = folder / "state"
        self.port_base = free_port_base()
        self._environment = {
            **os.environ,
            "VITRINE_STATE_DIR": str(self.state_dir),
            "VITRINE_PORT_BASE": str(self.port_base),
        }
        self._output = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def up(self, *arguments: str) -> None:
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(TOY), *arguments],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def run(self, command: str) -> tuple[int, str]:
        answer = subprocess.run(
            [sys.executable, "-m", "devstack", command],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return answer.returncode, answer.stdout + answer.stderr

    @property
    def output(self) -> str:
        return self._output.read_text()

    async def until_ready(self) -> dict:
        file = self.state_dir / "urls.json"
        await wait_until(lambda: file.exists() or self.process.poll() is not None, "urls.json", 60)
        assert file.exists(), self.output
        return json.loads(file.read_text())

    async def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, STOP_TIMEOUT_SECONDS)


@pytest.fixture
async def terminal():
    with scratch_folder() as folder:
        terminal = Terminal(folder)
        yield terminal
        if terminal.process is not None and terminal.process.poll() is None:
            await terminal.stop(signal.SIGTERM)


def descendants(pid: int) -> list[int]:
    """Every process below one; those that end meanwhile, as a server's own do, have none."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def answer_of(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


async def starts_recorded(urls: dict) -> int:
    connection = await asyncpg.connect(urls["database"])
    try:
        return await connection.fetchval("SELECT count(*) FROM starts")
    finally:
        await connection.close()


async def test_up_serves_what_it_says_and_ctrl_c_leaves_nothing(terminal):
    terminal.up()
    urls = await terminal.until_ready()
    processes = descendants(terminal.process.pid)

    assert {"chat", "telegram_api", "telegram_control", "comfyui", "nats", "database"} <= set(urls)
    assert urls["chat"].endswith(f":{terminal.port_base}")
    assert await starts_recorded(urls) == 1
    assert len(processes) >= 6  # postgres and its helpers, nats, two children and their workers

    assert await terminal.stop(signal.SIGINT) == 0

    await wait_until(lambda: all(map(ended, processes)), "end of every process")
    assert "billing     WARNING toy_ready" in terminal.output
    assert "order_id=o-1" in terminal.output
    assert "toy_stopped" in terminal.output
    assert "ready after" in terminal.output
    assert (terminal.state_dir / "logs" / "billing.log").read_text().startswith('{"event":')
    assert (terminal.state_dir / "urls.json").stat().st_mode & 0o077 == 0


async def test_a_killed_supervisor_leaves_nothing_and_the_next_start_keeps_the_data(terminal):
    terminal.up()
    await terminal.until_ready()
    names = {pid: _name(pid) for pid in descendants(terminal.process.pid)}
    direct = [pid for pid, name in names.items() if name != "sleep"]
    workers = [pid for pid, name in names.items() if name == "sleep"]

    await terminal.stop(signal.SIGKILL)
    # Before the next start, which may be ready before the last process of this one has ended.
    (terminal.state_dir / "urls.json").unlink()
    terminal.up()
    await wait_until(lambda: all(map(ended, direct)), "end of every process")
    for worker in workers:
        os.kill(worker, signal.SIGKILL)  # the toy's own: a real worker ties itself to its parent
    urls = await terminal.until_ready()

    assert await starts_recorded(urls) == 2
    assert await terminal.stop(signal.SIGTERM) == 0


async def test_a_second_up_says_so_and_down_and_reset_end_the_first(terminal):
    terminal.up()
    urls = await terminal.until_ready()

    code, said = await asyncio.to_thread(terminal.run, "up")
    assert code == 1
    assert f"already runs here as process {terminal.process.pid}" in said
    assert urls["chat"] in said

    code, said = await asyncio.to_thread(terminal.run, "down")
    assert (code, said) == (0, "Vitrine is stopped.\n")
    assert await asyncio.to_thread(terminal.process.wait, STOP_TIMEOUT_SECONDS) == 0

    code, said = await asyncio.to_thread(terminal.run, "reset")
    assert code == 0
    assert "does not run" in said
    assert not terminal.state_dir.exists()


async def test_a_child_that_dies_is_started_again_loudly(terminal):
    terminal.up()
    urls = await terminal.until_ready()
    health = f"{urls['health']['billing']}/readyz"
    first = await asyncio.to_thread(answer_of, health)

    os.kill(int(first), signal.SIGKILL)

    await wait_until(lambda: "billing ended with -9, starts again in" in terminal.output, "notice")
    await wait_until(lambda: _pid_at(health) not in {None, first}, "a new billing")


async def test_postgres_and_nats_are_started_again_too(terminal):
    terminal.up()
    urls = await terminal.until_ready()
    children = {_name(pid): pid for pid in descendants(terminal.process.pid)[::-1]}

    os.kill(children["nats-server"], signal.SIGKILL)
    os.kill(children["postgres"], signal.SIGKILL)

    await wait_until(lambda: "postgres ended with -9" in terminal.output, "notice")
    await wait_until(lambda: "nats ended with -9" in terminal.output, "notice")
    await wait_until(lambda: not is_free(terminal.port_base + Port.NATS), "nats again")

    async def database_answers() -> bool:
        try:
            return await starts_recorded(urls) == 1
        except (OSError, asyncpg.PostgresError):
            return False

    await wait_until(database_answers, "postgres again", 60)


async def test_a_failing_migration_is_shown_and_ends_the_start(terminal):
    terminal.up("--failing-migration")

    code = await asyncio.to_thread(terminal.process.wait, 60)

    assert code == 1
    assert "billing     no such column" in terminal.output
    assert "cannot start: billing migrate ended with 4" in terminal.output
    assert "nothing is left running" in terminal.output
    assert is_free(terminal.port_base + Port.DATABASE)


async def test_a_taken_port_is_named_with_the_way_out(terminal):
    with socket.socket() as other:
        other.bind((LOOPBACK, terminal.port_base + Port.DATABASE))
        other.listen()
        terminal.up()

        code = await asyncio.to_thread(terminal.process.wait, 60)

    assert code == 1
    assert f"{terminal.port_base + Port.DATABASE} (database)" in terminal.output
    assert "VITRINE_PORT_BASE" in terminal.output


def _name(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _pid_at(url: str) -> str | None:
    try:
        return answer_of(url)
    except OSError:
        return None
