"""Mutation testing of billing's domain: how many planted faults its tests find.

    python tools/mutation/run.py [--workers N] [--goal PERCENT] [--outside no|yes|only] [module ...]

mutmut plants faults in functions; Cosmic Ray, slower and only when asked, outside them
(outside_functions.py). Both work on copies, in an environment of their own, below
`.vitrine/mutation`; what survived is written to `survivors.txt` there. docs/mutation.md explains
the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BILLING = ROOT / "services" / "billing"
HOME = ROOT / ".vitrine" / "mutation"
VENV = HOME / "venv"
PYTHON = str(VENV / "bin" / "python")
# Each as deep below the folder with `docs` and `catalogue` as the tests expect to be.
WORK = HOME / "work" / "billing"
OUTSIDE = HOME / "work" / "outside" / "billing"
COPIED = HOME / "work" / "libs"
LOCKS = (ROOT / "requirements.lock", HERE / "requirements.lock")
LIBRARIES = ("contracts", "chassis")
GENTLY = ("nice", "-n", "15", PYTHON)
KILLED, SURVIVED, UNTESTED, TIMEOUT = "killed", "survived", "untested", "timeout"
STATUS = {0: SURVIVED, 1: KILLED, 3: KILLED, 5: UNTESTED, 33: UNTESTED} | dict.fromkeys(
    (36, 24, -24, 152, 255), TIMEOUT
)
"""mutmut's exit codes; whatever is not among them is shown as it is and counts as a survivor."""
DIFFS = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
lines = {name: get_diff_for_mutant(name).splitlines()[2:] for name in json.load(sys.stdin)}
print(json.dumps({name: [x for x in all if x[:1] in "+-"] for name, all in lines.items()}))
"""
Verdicts = dict[str, Counter[str]]
"""By module: how many mutants had which end."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("modules", nargs="*", help="of the domain; without any: all")
    arguments.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    arguments.add_argument("--goal", type=float, default=90.0, help="percent killed, or exit 1")
    arguments.add_argument("--outside", choices=("no", "yes", "only"), default="no")
    asked = arguments.parse_args()
    install()
    prepare()
    began = time.monotonic()
    survivors: list[str] = []
    percents: list[float] = []
    if asked.outside != "only":
        percents.append(report("in functions", by_mutmut(asked.modules, asked.workers, survivors)))
    if asked.outside != "no":
        percents.append(report("outside functions", by_cosmic_ray(survivors)))
    (HOME / "survivors.txt").write_text("\n".join(survivors), encoding="utf-8")
    minutes = (time.monotonic() - began) / 60
    print(f"{minutes:.0f} min; not killed: {HOME.relative_to(ROOT) / 'survivors.txt'}")
    return 0 if min(percents) >= asked.goal else 1


def install() -> None:
    """An environment beside the main one: the mutators are needed for nothing else."""
    stamp = HOME / "installed"
    wanted = hashlib.sha256(b"".join(lock.read_bytes() for lock in LOCKS)).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    uv = [sys.executable, "-m", "uv"]
    pip = [*uv, "pip", "install", "--quiet", "--python", PYTHON]
    subprocess.run([*uv, "venv", "--quiet", "--clear", "-p", sys.executable, str(VENV)], check=True)
    for lock in LOCKS:
        subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=True)
    stamp.write_text(wanted, encoding="utf-8")


def prepare() -> None:
    """Fresh copies of the sources and of the domain's tests, which need no server."""
    shutil.rmtree(HOME / "work", ignore_errors=True)
    no_cache = shutil.ignore_patterns("__pycache__")
    for copy in (WORK, OUTSIDE):
        shutil.copytree(BILLING / "src", copy / "src", ignore=no_cache)
        shutil.copytree(BILLING / "tests" / "domain", copy / "tests" / "domain", ignore=no_cache)
        shutil.copy(HERE / "hypothesis_profile.py", copy / "tests" / "conftest.py")
        shutil.copy(HERE / "mutmut.toml", copy / "pyproject.toml")
    for library in LIBRARIES:
        shutil.copytree(ROOT / "libs" / library / "src", COPIED / library, ignore=no_cache)
    os.environ["PYTHONPATH"] = os.pathsep.join(str(COPIED / each) for each in LIBRARIES)
    for folder in ("docs", "catalogue"):
        # For the tests mutmut copies once more, to work/billing/mutants, and for the others.
        (WORK.parent / folder).symlink_to(ROOT / folder)


def by_mutmut(modules: list[str], workers: int, survivors: list[str]) -> Verdicts:
    names = [f"billing.domain.{module}.*" for module in modules]
    command = [*GENTLY, "-m", "mutmut", "run", "--max-children", str(workers), *names]
    # Each mutant's verdict is stored at once: what an interrupted run found is told all the same.
    subprocess.run(command, cwd=WORK, check=False)
    found: Verdicts = defaultdict(Counter)
    left: list[str] = []
    for path in sorted((WORK / "mutants" / "src" / "billing" / "domain").glob("*.meta")):
        for name, code in json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].items():
            if code is not None:
                verdict = STATUS.get(code, f"exit code {code}")
                found[path.name.removesuffix(".py.meta")][verdict] += 1
                left += [name] if verdict != KILLED else []
    shown = subprocess.run(
        [PYTHON, "-c", DIFFS],
        cwd=WORK,
        check=True,
        input=json.dumps(left),
        stdout=subprocess.PIPE,
        text=True,
    )
    for name, lines in json.loads(shown.stdout).items():
        survivors += [name, *lines, ""]
    return found


def by_cosmic_ray(survivors: list[str]) -> Verdicts:
    subprocess.run([*GENTLY, str(HERE / "outside_functions.py")], cwd=OUTSIDE, check=True)
    found: Verdicts = defaultdict(Counter)
    for module, verdict, lines in json.loads((OUTSIDE / "verdicts.json").read_text("utf-8")):
        found[module][verdict] += 1
        survivors += [module, lines, ""] if verdict != KILLED else []
    return found


def report(where: str, found: Verdicts) -> float:
    """Print the table; returns the percentage killed."""
    total: Counter[str] = sum(found.values(), Counter())
    row = "{:<18}{:>8}{:>8}{:>10}{:>10}{:>9}{:>9}".format
    print()
    print(row(where, "mutants", KILLED, SURVIVED, UNTESTED, TIMEOUT, "killed"))
    for name, counts in (*sorted(found.items()), ("all", total)):
        figures = [counts[each] for each in (KILLED, SURVIVED, UNTESTED, TIMEOUT)]
        print(row(name, counts.total(), *figures, f"{_percent(counts):.1f} %"))
    for other in sorted(set(total) - {KILLED, SURVIVED, UNTESTED, TIMEOUT}):
        print(f"counted as survivors: {total[other]} {other}")
    return _percent(total)


def _percent(found: Counter[str]) -> float:
    """A test that hangs has found the fault too; what no test runs was not found."""
    return 100 * (found[KILLED] + found[TIMEOUT]) / max(found.total(), 1)


if __name__ == "__main__":
    sys.exit(main())
