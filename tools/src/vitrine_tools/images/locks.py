"""Writes requirements/<image>.lock: of requirements.lock what one image needs, hashes and all.

Asks no index: what needs what is read from the packages that are installed in this environment.
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from packaging.requirements import Requirement

from vitrine_tools.images import plan

LOCK = plan.ROOT / "requirements.lock"
FOLDER = plan.ROOT / "requirements"
HEADER = "# Written by `make locks` from requirements.lock: what the image of {service} installs.\n"
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==\S+.*?(?=^[A-Za-z0-9]|\Z)", re.MULTILINE | re.DOTALL)
# What the images are: other markers (Windows, PyPy, older Pythons) are not met there.
WHERE = {
    "python_version": "3.11",
    "python_full_version": "3.11.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "sys_platform": "linux",
    "os_name": "posix",
    "platform_system": "Linux",
}


def pins(text: str) -> dict[str, str]:
    """Every package's lines in the lock, without uv's remarks on who asked for it."""
    found = {}
    for match in _PIN.finditer(text):
        lines = (line for line in match[0].splitlines() if not line.lstrip().startswith("#"))
        found[plan.normal(match[1])] = "\n".join(lines) + "\n"
    return found


def needed(image: plan.Image) -> set[str]:
    """The closure of what the image's members ask for, without the members themselves."""
    members = plan.members_of(image)
    ours = {plan.normal(plan.project(folder)["name"]) for folder in members}
    waiting = [Requirement(each) for folder in members for each in _required(folder, image)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = plan.normal(requirement.name)
        if name in ours:
            continue
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            waiting += _asked_by(name, extra)
    return {name for name, _ in seen}


def _required(folder: Path, image: plan.Image) -> list[str]:
    return plan.required(folder, image.extras)


def _asked_by(name: str, extra: str) -> list[Requirement]:
    listed = importlib.metadata.requires(name) or ()
    asked = [Requirement(each) for each in listed]
    return [each for each in asked if each.marker is None or _met(each, extra)]


def _met(requirement: Requirement, extra: str) -> bool:
    assert requirement.marker is not None
    return requirement.marker.evaluate({**WHERE, "extra": extra})


def lock_of(image: plan.Image, known: dict[str, str]) -> str:
    """Raises KeyError when an installed package is not locked: then `make lock` comes first."""
    lines = (known[name] for name in sorted(needed(image)))
    return HEADER.format(service=image.service) + "".join(lines)


def main() -> None:
    known = pins(LOCK.read_text())
    FOLDER.mkdir(exist_ok=True)
    for image in plan.IMAGES.values():
        (FOLDER / f"{image.service}.lock").write_text(lock_of(image, known))


if __name__ == "__main__":
    main()
