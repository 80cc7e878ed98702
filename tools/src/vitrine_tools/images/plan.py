"""The images: which of our packages each holds, what it runs, and how large it may be."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]
FOLDERS = (
    "libs/contracts",
    "libs/chassis",
    "services/gateway",
    "services/billing",
    "services/generator",
    "services/vpn",
    "services/scheduler",
    "simulators",
    "tools",
)
MEGABYTE = 1_000_000
SERVICE_BYTES_MAX = 60 * MEGABYTE
"""What any of the five adds to its base, unpacked: what a node fetches is about a third of it."""


@dataclass(frozen=True, slots=True)
class Image:
    service: str
    members: tuple[str, ...]
    """Folders of the repository, without those they depend on."""
    command: tuple[str, ...]
    """What `service` means inside the image."""
    extras: tuple[str, ...] = ()
    disk_bytes_max: int = SERVICE_BYTES_MAX
    """Above the base image, unpacked. More than a service's needs a reason."""
    reason: str = ""


def _service(name: str) -> Image:
    return Image(name, (f"services/{name}",), ("python", "-m", name))


IMAGES = {
    image.service: image
    for image in (
        _service("gateway"),
        _service("billing"),
        _service("generator"),
        _service("vpn"),
        _service("scheduler"),
        Image(
            "simulators",
            ("simulators",),
            ("python", "-m", "simulators.telegram"),
            disk_bytes_max=210 * MEGABYTE,
            reason="makes videos (PyAV, numpy), speaks to aiogram; on laptops and in tests only",
        ),
        Image(
            "operator",
            ("tools", "services/billing", "services/scheduler", "services/vpn"),
            ("vitrine",),
            extras=("export",),
            disk_bytes_max=200 * MEGABYTE,
            reason="pyarrow, which writes Parquet, is 160 of it; run by people, kept on no node",
        ),
    )
}


def normal(name: str) -> str:
    """One spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def project(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return found


def required(folder: Path, extras: tuple[str, ...]) -> list[str]:
    """What a member needs, with those of its extras that the image asks for."""
    read = project(folder)
    optional = read.get("optional-dependencies", {})
    return [*read["dependencies"], *(each for name in extras for each in optional.get(name, ()))]


def members_of(image: Image, root: Path = ROOT) -> tuple[Path, ...]:
    """Every folder the image holds: its members and those of ours they depend on."""
    known = {normal(project(root / each)["name"]): root / each for each in FOLDERS}
    found: list[Path] = []
    waiting = [root / each for each in image.members]
    while waiting:
        folder = waiting.pop()
        if folder not in found:
            found.append(folder)
            names = map(normal, required(folder, image.extras))
            waiting += [known[name] for name in names if name in known]
    return tuple(sorted(found))
