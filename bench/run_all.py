"""Every figure, one after the other, on an otherwise quiet machine; writes bench/RESULTS.md.

`python -m bench.run_all confirm footprint` measures only these and keeps the other results.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.harness import Figure, stolen_and_total

NAMES = (
    *("pipeline", "ledger", "replies", "confirm", "idle_gap", "footprint", "start"),
    *("signatures", "accounts"),
    *("timers", "vpn_links", "vpn_access", "vpn_resync", "vpn_reconcile"),
)
FOLDER = Path(__file__).parent
FILE = FOLDER / "results.json"
INTRODUCTION = """# Results

Measured by `make bench`; what is compared was measured in the same run. Regenerate, do not edit.
The machine is a small shared virtual one: read ratios before absolutes.
"""


def main() -> None:
    chosen = sys.argv[1:] or NAMES
    results: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in chosen:
        before = stolen_and_total()
        figure: Figure = asyncio.run(importlib.import_module(f"bench.{name}").measure())
        stolen, total = (now - was for now, was in zip(stolen_and_total(), before, strict=True))
        figure.values["stolen_percent"] = round(stolen / total * 100, 1)
        figure.show()
        results[name] = {
            "title": figure.name,
            "goal": figure.goal,
            "rows": figure.rows,
            "values": figure.values,
            "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "commit": commit(),
        }
        FILE.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    (FOLDER / "RESULTS.md").write_text(page(results))


def commit() -> str:
    """What was measured: the commit, with a + when the tree had changes on top of it."""
    ask = ("git", "-C", str(FOLDER), "describe", "--always", "--dirty=+", "--abbrev=9")
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()


def page(results: dict[str, Any]) -> str:
    parts = [INTRODUCTION]
    for name in NAMES:
        if name not in results:
            continue
        found = results[name]
        values = found["values"]
        parts.append(
            f"\n## {found['title']}\n\nGoal: {found['goal']}. `bench/{name}.py`, "
            f"{found['measured']}, commit {found.get('commit') or '?'}, "
            f"{values.get('cores')} cores, "
            f"load before {values.get('load_before')}, "
            f"{values.get('stolen_percent', '?')} % of the CPU stolen by the host.\n\n"
            "| figure | measured |\n|---|---|\n"
        )
        parts += [f"| {label} | {value} |\n" for label, value in found["rows"]]
    return "".join(parts)


if __name__ == "__main__":
    main()
