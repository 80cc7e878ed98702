"""Debian's v2ray, the real core of VPN nodes: found, or unpacked beside us without installing."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

PACKAGE = "v2ray"
CACHE = Path("~/.cache/vitrine/v2ray")
TIMEOUT_SECONDS = 300.0
MISSING = "VPN TEST NOT RUN: v2ray is neither on PATH nor to be had with apt-get download"


def find_v2ray(cache: Path = CACHE) -> str | None:
    """The program's path; where it is missing, Debian's package is fetched and unpacked."""
    if (found := shutil.which("v2ray")) is not None:
        return found
    folder = cache.expanduser()
    unpacked = folder / "usr" / "bin" / "v2ray"
    if not os.access(unpacked, os.X_OK):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            # Workers of a test run and platforms ask at once; one fetches, the others find it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.access(unpacked, os.X_OK):
                _unpack(folder)
    return str(unpacked) if os.access(unpacked, os.X_OK) else None


def _unpack(folder: Path) -> None:
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if apt is None or dpkg is None:
        print("v2ray cannot be fetched: there is no apt-get or no dpkg")
        return
    if not _run((apt, "download", PACKAGE), folder):
        # Fresh machines have no list of packages yet, and only root may fetch one.
        if os.geteuid() != 0 or not _run((apt, "-qq", "update"), folder):
            return
        if not _run((apt, "download", PACKAGE), folder):
            return
    for package in sorted(folder.glob(f"{PACKAGE}_*.deb")):
        _run((dpkg, "-x", str(package), str(folder)), folder)
        package.unlink()


def _run(command: tuple[str, ...], folder: Path) -> bool:
    done = subprocess.run(
        command, cwd=folder, timeout=TIMEOUT_SECONDS, check=False, capture_output=True, text=True
    )
    if done.returncode:
        print(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    return done.returncode == 0
