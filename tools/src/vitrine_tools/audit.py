"""`make audit`: known holes of every version in the locks, by pip-audit; it asks the registry.

A hole without a fix, or one that does not concern us, is agreed to below, with a reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vitrine_tools.checks import ChecksMissingError, program

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ("requirements.lock", "requirements-checks.lock")
SECONDS_MAX = 900.0
AGREED: Mapping[tuple[str, str], str] = {}
"""Package and advisory -> why we live with it."""


class AuditError(Exception):
    """Nothing could be asked; the sentence says why."""


def audited(lock: Path) -> list[dict[str, Any]]:
    """What pip-audit says of each package of a lock. Raises AuditError."""
    done = subprocess.run(
        [
            str(program("pip-audit")),
            *("--requirement", str(lock), "--require-hashes", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        raise AuditError(f"{lock.name}: {done.stderr.strip() or 'no answer'}") from None
    if all("skip_reason" in each for each in found):
        # Mirrors often serve files alone, and no advisories.
        raise AuditError(f"the registry that serves this machine knows no package of {lock.name}")
    return found


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


def main() -> int:
    try:
        dependencies = [each for lock in LOCKS for each in audited(ROOT / lock)]
    except (AuditError, ChecksMissingError) as error:
        print(f"audit: nothing could be asked: {error}", file=sys.stderr)
        return 2
    holes, needless = judged(dependencies)
    for sentence in (*holes, *needless):
        print(sentence)
    print(f"audit: {len(dependencies)} versions, {len(holes)} hole(s), {len(AGREED)} agreed to")
    return 1 if holes or needless else 0


if __name__ == "__main__":
    sys.exit(main())
