"""VPN nodes for the laptop: each `python -m devstack.vpn_node`, a real agent over a real core.

Where Debian's v2ray cannot be had, the agent gets a core that only keeps accounts: everything in
the chat works, and no traffic passes.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from devstack.ports import LOOPBACK
from devstack.v2ray import find_v2ray

if TYPE_CHECKING:
    from devstack.settings import Settings

SHIM = Path(__file__).with_name("die_with_parent.py")
REGIONS = ("eu", "us", "asia")
"""Of the catalogue; nodes stand in one after the other."""
FOLDER = "vpn"
RENEW_SECONDS = 10 * 24 * 3600
"""Certificates are good for 30 days; after 10 the next start makes new ones."""
ACCOUNTS_ONLY = (
    "v2ray is neither on PATH nor to be had with apt-get download: the VPN node keeps accounts, "
    "but no traffic passes it"
)


class Node(NamedTuple):
    name: str
    region: str
    agent_port: int
    health_port: int
    vless_port: int


def nodes(settings: Settings) -> list[Node]:
    from devstack.urls import Port  # as below: a node that starts again waits for no import

    base = settings.port_base
    return [
        Node(
            f"local-{number + 1}",
            REGIONS[number % len(REGIONS)],
            base + Port.VPN_NODE + number,
            base + Port.VPN_NODE_HEALTH + number,
            base + Port.VPN_NODE_PUBLIC + number,
        )
        for number in range(settings.vpn_nodes)
    ]


def prepare(settings: Settings) -> Path:
    """Make the certificates and the file of nodes; return their folder."""
    from devstack.settings import write_private

    folder = settings.state_dir / FOLDER
    found = nodes(settings)
    wanted = (folder / "control.crt", *(folder / f"{node.name}.crt" for node in found))
    if not all(map(_is_fresh, wanted)):
        from vpn.agent.pki import Pki  # cryptography costs a start 0.1 s

        authority = Pki(folder)
        if not (folder / "authority.crt").exists():
            authority.init()
        for node in found:
            authority.node(node.name, (LOOPBACK,))
        authority.control()
    tables = "\n".join(map(_table, found))
    write_private(folder / "nodes.toml", f"# Written by the devstack at every start.\n{tables}")
    return folder


def _is_fresh(certificate: Path) -> bool:
    return certificate.exists() and time.time() - certificate.stat().st_mtime < RENEW_SECONDS


def _table(node: Node) -> str:
    return f"""[[nodes]]
name = "{node.name}"
region = "{node.region}"
url = "https://{LOOPBACK}:{node.agent_port}"

[nodes.link]
address = "{LOOPBACK}"
port = {node.vless_port}
"""


def main() -> None:
    """Become the agent, with a core to speak to."""
    environment = dict(os.environ)
    core = find_v2ray()
    if core is not None:
        folder = Path(environment["VPN_AGENT_STATE_FOLDER"])
        environment["VPN_AGENT_CORE_BINARY"] = str(mortal(core, folder))
    else:
        sys.stderr.write(f"{ACCOUNTS_ONLY}\n")
        environment["VPN_AGENT_CORE_API"] = accounts_only()
    command = [sys.executable, "-m", "vpn.agent"]
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own program


def mortal(core: str, folder: Path) -> Path:
    """A program that is the core, and ends with the agent: a platform leaves nothing behind.

    On a real node the core shall outlive its agent, so agents do not do this themselves.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    script = folder / "core"
    words = [sys.executable, "-I", "-S", str(SHIM), str(int(signal.SIGKILL))]
    line = f'exec {shlex.join(words)} "$PPID" -1 -1 {shlex.quote(core)} "$@"'
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o700)
    return script


def accounts_only() -> str:
    """Start the stand-in of a core; return where it answers. It ends with our process group."""
    command = [sys.executable, "-m", "simulators.vless_node", "--kind", "v2ray"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    return line.split()[-1]


if __name__ == "__main__":
    main()
