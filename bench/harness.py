"""What every figure shares: medians, percentiles, CPU of processes, a table and JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table


@dataclass
class Figure:
    """One measured thing: its rows for people, its values for programs, its goal in words."""

    name: str
    goal: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, label: str, value: float, unit: str, *, key: str = "") -> None:
        shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
        self.rows.append((label, f"{shown} {unit}"))
        self.values[key or label] = value

    def show(self) -> None:
        table = Table(title=self.name, title_justify="left")
        table.add_column("figure")
        table.add_column("measured", justify="right")
        for row in self.rows:
            table.add_row(*row)
        console = Console(width=110)
        console.print(table)
        console.print(f"goal: {self.goal}")
        print(json.dumps({"name": self.name, "goal": self.goal, **self.values}))


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes that still run, their living children included."""
    total = 0.0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                times = each.cpu_times()
                total += times.user + times.system
        except psutil.Error:
            continue
    return total


def pss_megabytes(pid: int) -> float:
    """Proportional set size of a process and its children: shared pages count in shares."""
    kilobytes = 0
    for each in (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))):
        with open(f"/proc/{each}/smaps_rollup", encoding="ascii") as file:  # noqa: PTH123 - not a path of ours
            kilobytes += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return kilobytes / 1024


def stolen_and_total() -> tuple[int, int]:
    """CPU ticks the hypervisor gave to others, and all ticks, since the machine started."""
    with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123 - not a path of ours
        ticks = [int(each) for each in file.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def machine() -> Mapping[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }
