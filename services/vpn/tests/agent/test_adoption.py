"""A core that the agent's life before this one started, and what it does when it is found."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from devstack.testing import wait_until
from simulators.vless_node.load_core import XRAY, LoadCore
from vpn.agent import core_process
from vpn.agent.core_config import Template, plain_base
from vpn.agent.core_process import Binary
from vpn.agent.core_targets import Limits
from vpn.agent.settings import AgentSettings
from vpn.agent.supervisor import NOTE_FILE, Note, Supervisor
from vpn.agent.testing import Bench, new_entry

SAYS_ITS_VERSION = "#!/bin/sh\necho Xray 25.1.1\n"
DEFAULTS = AgentSettings.model_fields


@pytest.fixture
def pid(monkeypatch):
    """Of a process that is taken for the core's; what answers is in this one."""
    with subprocess.Popen(["sleep", "600"]) as process:
        monkeypatch.setattr(core_process, "running", lambda _config: iter([process.pid]))
        yield process.pid
        process.kill()


def template(binary: Binary) -> Template:
    return Template(
        plain_base("127.0.0.1", 1, "vless"),
        kind=binary.kind,
        tag="vless",
        access_log=None,
        limits=Limits(allow_private=False, own=(), allowed=()),
    )


def supervisor(bench: Bench, folder: Path) -> Supervisor:
    program = folder / "xray"
    program.write_text(SAYS_ITS_VERSION)
    program.chmod(0o700)
    binary = Binary.find(str(program))
    fingerprint = template(binary).fingerprint(f"{binary.path} {binary.version}")
    note = Note(int(bench.core.port), fingerprint)
    (folder / NOTE_FILE).write_bytes(msgspec.json.encode(note))
    return Supervisor(
        folder=folder,
        binary=str(program),
        template=template,
        tag="vless",
        keeper=bench.keeper,
        clock=bench.clock,
        start_timeout=DEFAULTS["core_start_timeout"].default,
        silence_max=DEFAULTS["core_silence_max"].default,
        check_every=DEFAULTS["core_check_every"].default,
    )


@pytest.mark.parametrize("core", [XRAY], indirect=True)
@pytest.mark.parametrize("lists", [True, False])
async def test_a_core_is_taken_over_also_when_its_list_does_not_come(
    bench: Bench, core: LoadCore, folder: Path, stack, pid: int, lists: bool
):
    mine, gone = new_entry(), new_entry()
    await bench.put_all(1, mine, gone)
    await bench.stop()
    core.faults.list_errors = not lists
    again = Bench(folder, core)
    again.external = supervisor(again, folder)
    await again.start()
    stack.push_async_callback(again.stop)

    await wait_until(lambda: again.keeper.synced, "taken over")

    assert again.keeper.link.pid == pid
    assert again.holds(mine, gone)
    await again.put_all(2, mine)
    assert again.holds(mine)
    assert again.background.failure is None
