"""Debian's Chromium for browser tests: found, or installed where that is allowed."""

import os
import shutil
import subprocess

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
)
INSTALL_TIMEOUT_SECONDS = 600.0
PACKAGES = ("chromium", "fonts-noto-color-emoji")


def find_chromium() -> str | None:
    """The browser's path; as root on a machine with apt it is installed first when missing."""
    if (found := shutil.which("chromium")) is not None:
        return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("update",), ("install", "-y", "--no-install-recommends", *PACKAGES)):
        done = subprocess.run(
            (apt, "-qq", *command),
            env=environment,
            timeout=INSTALL_TIMEOUT_SECONDS,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            print(f"apt-get {command[0]} failed: {done.stderr.strip()[-300:]}")
            return None
    return shutil.which("chromium")
