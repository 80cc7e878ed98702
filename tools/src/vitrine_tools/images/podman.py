"""How podman is spoken to here: with what this machine allows it, and images of our names."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from vitrine_tools.images.plan import ROOT

CONFIGURATION = ROOT / ".vitrine" / "images" / "containers.conf"
PREFIX = "localhost/vitrine-"
NOFILE, NPROC = 20_000, 30_000


def configuration() -> str:
    """Limits below the hard ones of this process (podman asks for a million), and runc.

    crun 1.8 refuses a machine whose cgroups are hybrid; without systemd there is no other manager.
    """
    limits = []
    for name, wanted, kind in (
        ("nofile", NOFILE, resource.RLIMIT_NOFILE),
        ("nproc", NPROC, resource.RLIMIT_NPROC),
    ):
        hard = resource.getrlimit(kind)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        limits.append(f'"{name}={most}:{most}"')
    lines = ["[containers]", f"default_ulimits = [{', '.join(limits)}]", "[engine]"]
    lines.append('events_logger = "file"')
    if shutil.which("runc"):
        lines.append('runtime = "runc"')
    if not Path("/run/systemd/system").is_dir():
        lines.append('cgroup_manager = "cgroupfs"')
    return "\n".join(lines) + "\n"


@cache
def environment() -> dict[str, str]:
    """The environment in which every podman command runs."""
    CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
    CONFIGURATION.write_text(configuration())
    return {**os.environ, "CONTAINERS_CONF": str(CONFIGURATION)}


def run(*words: str, timeout: float | None = None) -> str:
    """Run podman; return what it printed. Its complaints go to the terminal."""
    done = subprocess.run(
        ["podman", *words],
        env=environment(),
        # Where its monitor leaves a file named `oom`, when a container is out of memory.
        cwd=scratch(),
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=True,
    )
    return done.stdout.strip()


def exists(image: str) -> bool:
    return (
        subprocess.run(
            ["podman", "image", "exists", image], env=environment(), check=False
        ).returncode
        == 0
    )


def inspect(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("image", "inspect", image))[0]
    return found


def name_of(service: str) -> str:
    return f"{PREFIX}{service}"


def git(*words: str) -> str:
    """What git says of the repository; nothing outside of one, or where there is no git."""
    if shutil.which("git") is None:
        return ""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def scratch() -> Path:
    """Where archives of images fit: /tmp may be memory."""
    CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
    return CONFIGURATION.parent
