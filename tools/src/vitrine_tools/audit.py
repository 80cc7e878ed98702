"""Known holes of every version in the locks, by pip-audit; it asks the advisories of its registry.

Part of `make lint`. Where nothing answers that knows advisories, one line says that nothing was
audited, and lint goes on; `VITRINE_AUDIT=require` (as `make audit` sets it) makes that a failure.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from vitrine_tools.checks import ChecksMissingError, program
from vitrine_tools.licences import normal

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ("requirements.lock", "requirements-checks.lock", "requirements/*.lock")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
REQUIRE = ("VITRINE_AUDIT", "require")
CANARY = ("pyyaml", "5.3", "CVE-2020-14343")
"""Who does not report this knows no advisories: mirrors often serve files alone."""
ANSWER_SECONDS_MAX = 5
CANARY_SECONDS_MAX = 12.0
SECONDS_MAX = 600.0


class Agreed(NamedTuple):
    """A hole we live with, because it has no fix or does not concern us."""

    reason: str
    until: date
    """The last day; then somebody looks again."""


AGREED: Mapping[tuple[str, str], Agreed] = {}
"""By package and advisory, under any of its names."""


class AuditError(Exception):
    """Nothing could be asked; the sentence says why."""


class Pin(NamedTuple):
    name: str
    version: str


def locked(root: Path) -> list[list[Pin]]:
    """Every version of every lock once, in lists that name no package twice."""
    texts = [file.read_text() for glob in LOCKS for file in sorted(root.glob(glob))]
    versions: dict[str, list[str]] = {}
    for name, version in (found for text in texts for found in PIN.findall(text)):
        known = versions.setdefault(normal(name), [])
        if version not in known:
            known.append(version)
    most = max(map(len, versions.values()), default=0)
    return [
        [
            Pin(name, known[number])
            for name, known in sorted(versions.items())
            if number < len(known)
        ]
        for number in range(most)
    ]


def audited(pins: Sequence[Pin], seconds_max: float) -> list[dict[str, Any]]:
    """What pip-audit says of each of them. Raises AuditError."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
        command = [
            *(str(program("pip-audit")), "--requirement", str(listed), "--no-deps"),
            *("--disable-pip", "--format", "json", "--progress-spinner", "off"),
            # An answer kept from another day is none.
            *("--cache-dir", f"{folder}/answers", "--timeout", str(ANSWER_SECONDS_MAX)),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds_max, check=False
            )
        except subprocess.TimeoutExpired:
            raise AuditError(f"no answer within {seconds_max:.0f} s") from None
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        said = done.stderr.strip().splitlines() or ["no answer"]
        raise AuditError(said[-1]) from None
    return found


def try_canary() -> None:
    """Raise AuditError where a hole that everybody knows is not reported."""
    name, version, known = CANARY
    (answer,) = audited([Pin(name, version)], CANARY_SECONDS_MAX)
    if all(known not in {hole["id"], *hole["aliases"]} for hole in answer.get("vulns", ())):
        raise AuditError(f"the service that answers here does not know {known} of {name} {version}")


def judged(dependencies: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Sentences about holes nobody agreed to, and about agreements that are needed no longer."""
    holes, used = [], set()
    for each in dependencies:
        if reason := each.get("skip_reason"):
            holes.append(f"{each['name']}: not audited, {reason}")
        for hole in each.get("vulns", ()):
            names = {hole["id"], *hole.get("aliases", ())}
            agreed = {(each["name"], name) for name in names} & AGREED.keys()
            used |= agreed
            if not agreed:
                fixed = ", ".join(hole["fix_versions"]) or "nothing yet"
                holes.append(f"{each['name']} {each['version']}: {hole['id']}, fixed by {fixed}")
    return holes, [f"{name}: {hole} is agreed to, and gone" for name, hole in AGREED.keys() - used]


def expired(today: date) -> list[str]:
    """Sentences about agreements whose last day is over."""
    return [
        f"{name}: {hole} was agreed to until {agreed.until} ({agreed.reason})"
        for (name, hole), agreed in AGREED.items()
        if agreed.until < today
    ]


def _told(problems: Sequence[str]) -> int:
    for sentence in problems:
        print(sentence)
    return 1 if problems else 0


def main() -> int:
    # Also where nobody can be asked: it is about what we wrote ourselves.
    if late := expired(datetime.now(UTC).date()):
        return _told(late)
    lists = locked(ROOT)
    try:
        try_canary()
        dependencies = [each for pins in lists for each in audited(pins, SECONDS_MAX)]
    except (AuditError, ChecksMissingError) as error:
        why = " ".join(str(error).split())
        required = os.environ.get(REQUIRE[0]) == REQUIRE[1]
        then = "it is required" if required else f"{'='.join(REQUIRE)} makes this a failure"
        print(f"AUDIT: NOTHING WAS AUDITED, no hole would be seen: {why}; {then}", file=sys.stderr)
        return 2 if required else 0
    holes, needless = judged(dependencies)
    print(f"audit: {len(dependencies)} versions, {len(holes)} hole(s), {len(AGREED)} agreed to")
    return _told([*holes, *needless])


if __name__ == "__main__":
    sys.exit(main())
