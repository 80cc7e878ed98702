"""Constants, defaults and properties, which mutmut leaves alone, mutated by Cosmic Ray.

Runs in the environment and the copy that run.py makes. Each mutant is a process of its own, so
the slowest tests are left out: what they alone would find counts as a survivor.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

SESSION = Path("outside.sqlite")
CONFIG = Path("cosmic-ray.toml")
VERDICTS = Path("verdicts.json")
TESTS = "-x -q -p no:cacheprovider --hypothesis-profile=mutation -k 'not runTest and not million'"
TIMEOUT_SECONDS = 60
SKIPPED = WorkResult(WorkerOutcome.SKIPPED)


def main() -> None:
    CONFIG.write_text(
        "[cosmic-ray]\n"
        'module-path = "src/billing/domain"\n'
        f"timeout = {TIMEOUT_SECONDS}\n"
        "excluded-modules = []\n"
        f'test-command = "{sys.executable} -m pytest {TESTS} tests/domain"\n'
        '[cosmic-ray.distributor]\nname = "local"\n',
        encoding="utf-8",
    )
    SESSION.unlink(missing_ok=True)
    command = [sys.executable, "-m", "cosmic_ray.cli"]
    subprocess.run([*command, "init", CONFIG, SESSION], check=True)
    with use_db(SESSION) as session:
        items = session.work_items
        others = [each.job_id for each in items if not all(map(_is_ours, each.mutations))]
        session.set_multiple_results(others, SKIPPED)
    paths = ("src", os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([*command, "exec", CONFIG, SESSION], check=True, env=environment)
    with use_db(SESSION) as session:
        VERDICTS.write_text(json.dumps(_verdicts(session)), encoding="utf-8")


def _is_ours(mutation: MutationSpec) -> bool:
    """Outside functions, or in a property.

    Not `|` in annotations, which are never evaluated, nor dataclass(frozen=..., slots=...), which
    guard against mistakes and do nothing.
    """
    row = mutation.start_pos[0]
    lines = _lines(mutation.module_path)
    in_function = any(first <= row <= last for first, last in _functions(mutation.module_path))
    mere_guard = lines[row - 1].startswith("@dataclass")
    return not in_function and not mere_guard and "Operator_BitOr" not in mutation.operator_name


@cache
def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@cache
def _functions(path: Path) -> list[tuple[int, int]]:
    """The first and last lines of what mutmut mutates: functions without a decorator."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and not node.decorator_list
    ]


def _verdicts(session: WorkDB) -> list[tuple[str, str, str]]:
    """Each mutant's module, what became of it, and its difference."""
    found = []
    for item, result in session.completed_work_items:
        if result.worker_outcome != WorkerOutcome.SKIPPED:
            survived = result.test_outcome == TestOutcome.SURVIVED
            lines = (result.diff or "").splitlines()
            changed = [line for line in lines if line[:1] in "+-" and line[:3] not in "+++---"]
            module = item.mutations[0].module_path.stem
            found.append((module, "survived" if survived else "killed", "\n".join(changed)))
    return found


if __name__ == "__main__":
    main()
