"""`make images`: podman, a base image, and one image per service, on any Debian machine.

Run with `prepare`, `base`, `build [SERVICE…]` or `sizes`; without words: all of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from vitrine_tools.images import layers, plan, podman

PACKAGES = ("podman", "runc", "netavark", "aardvark-dns", "iptables", "mmdebstrap")
PROGRAMS = ("podman", "runc", "mmdebstrap")
BASE = "python:3.11-slim"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_IN_BASE = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man")
PULL_SECONDS = 20
CERTIFICATES = "/etc/ssl/certs"


def missing() -> list[str]:
    """The programs that have to be installed first."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def prepare() -> None:
    """Install what builds images, where it is missing."""
    if not missing():
        return
    if os.geteuid() != 0:
        sys.exit(f"images need {', '.join(missing())}: run as root, or apt-get install them first")
    print(f"installing {' '.join(PACKAGES)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *PACKAGES]
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True)
    subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, check=True)


def base() -> None:
    """Have the official base image; where no registry answers, make one of its kind."""
    if podman.exists(BASE):
        return
    try:
        podman.run("pull", "--quiet", BASE, timeout=PULL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        print("no registry answers: the base image is made with mmdebstrap", flush=True)
        _make_base()


def _make_base() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        made, root = Path(scratch) / "base.tar", Path(scratch) / "root"
        command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={BASE_PACKAGES}"]
        subprocess.run([*command, "bookworm", str(made)], check=True)
        root.mkdir()
        subprocess.run(["tar", "-xf", made, "-C", root, "--exclude=./dev/*"], check=True)
        for name in NOT_IN_BASE:
            shutil.rmtree(root / name, ignore_errors=True)
        for name in ("python", "python3"):
            (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
        cleaned = Path(scratch) / "cleaned.tar"
        subprocess.run(["tar", "-C", root, "-cf", cleaned, "."], check=True)
        changes = ("-c", f"ENV PATH={BASE_PATH}", "-c", 'CMD ["python3"]')
        podman.run("import", "--quiet", *changes, str(cleaned), BASE)


def build(
    services: Sequence[str],
    *,
    cached: bool = True,
    suffix: str = "",
    source: Path = plan.ROOT,
) -> None:
    """Build the images one after the other; each takes what the last one fetched."""
    version = plan.project(plan.ROOT / "libs/contracts")["version"]
    with tempfile.TemporaryDirectory() as scratch:
        settings = Path(scratch) / "pip.conf"
        settings.write_text(f"[global]\ncert = {CERTIFICATES}/ca-certificates.crt\n")
        for service in services:
            began = time.monotonic()
            arguments = {
                "SERVICE": service,
                "VERSION": version,
                "REVISION": podman.git("rev-parse", "HEAD"),
                "SOURCE_DATE_EPOCH": podman.git("log", "-1", "--format=%ct") or "0",
            }
            given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
            podman.run(
                "build",
                "--quiet",
                "--pull=never",
                # Whoever reaches the package index through an authority of their own needs both.
                "--network=host",
                *("-v", f"{CERTIFICATES}:{CERTIFICATES}:ro", "-v", f"{settings}:/etc/pip.conf:ro"),
                *(() if cached else ("--no-cache",)),
                *given,
                *("-t", podman.name_of(service) + suffix),
                str(source),
            )
            print(f"{service}: built in {time.monotonic() - began:.0f} s", flush=True)


def sizes() -> str:
    """What each image adds to its base: on disk, and as a node fetches it."""
    lines = [f"{'MB above the base':<18}  on disk  fetched"]
    for service in plan.IMAGES:
        if podman.exists(podman.name_of(service)):
            added = layers.above(BASE, podman.name_of(service))
            disk, fetched = added.disk_bytes / plan.MEGABYTE, added.fetched_bytes / plan.MEGABYTE
            lines.append(f"{service:<18} {disk:8.1f} {fetched:8.1f}")
    return "\n".join(lines)


def main(words: Sequence[str]) -> None:
    what, services = (words[0], words[1:]) if words else ("all", ())
    if what in ("prepare", "base", "build", "all"):
        prepare()
    if what in ("base", "build", "all"):
        base()
    if what in ("build", "all"):
        build(services or list(plan.IMAGES))
    if what in ("sizes", "build", "all"):
        print(sizes())


if __name__ == "__main__":
    main(sys.argv[1:])
