"""The audit's report: which relations of the books were checked, and who breaks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One relation over all rows. `broken_by`: the people concerned; empty is healthy."""

    name: str
    broken_by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport:
    """`figures` say how much was looked at: accounts, transfers, orders, undelivered, ..."""

    checks: tuple[Check, ...]
    figures: Mapping[str, int]

    @property
    def drift(self) -> tuple[int, ...]:
        return tuple(sorted({user for check in self.checks for user in check.broken_by}))

    @property
    def healthy(self) -> bool:
        return not self.drift

    def lines(self) -> list[str]:
        """The report as a table for a terminal."""
        width = max(len(name) for name in (*self.figures, *(check.name for check in self.checks)))
        rows = [f"{name:<{width}}  {count:>10,}" for name, count in self.figures.items()]
        for check in self.checks:
            found = "ok" if not check.broken_by else f"{len(check.broken_by)} broken"
            some = ", ".join(map(str, check.broken_by[:5]))
            rows.append(f"{check.name:<{width}}  {found:>10}  {some}".rstrip())
        return rows
