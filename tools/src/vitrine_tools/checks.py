"""Programs of requirements-checks.lock, in an environment of their own: its versions differ."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "requirements-checks.lock"
INSTALL_SECONDS_MAX = 600.0


class ChecksMissingError(Exception):
    """The environment cannot be made here; the sentence says why."""


def program(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Path of a program; its environment is made by the first who asks for this very lock."""
    kept = Path(environment.get("VITRINE_CACHE_DIR", "") or ROOT / ".vitrine" / "cache")
    folder = kept / f"checks-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    kept.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder)
            (folder / "complete").touch()
    return folder / "bin" / name


def _make(folder: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    python = str(folder / "bin" / "python")
    install = (uv, "pip", "install", "--quiet", "--python", python, "--require-hashes")
    for command in (
        (uv, "venv", "--quiet", "--python", sys.executable, str(folder)),
        (*install, "-r", str(LOCK)),
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False
        )
        if done.returncode:
            raise ChecksMissingError(f"{' '.join(command[1:3])}: {done.stderr.strip()}")
