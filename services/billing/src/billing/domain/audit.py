"""The audit's report: which relations of the books were checked, and who breaks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.ids import UserId


@dataclass(frozen=True, slots=True)
class Check:
    """One relation over all rows. `broken_by`: the people concerned; empty is healthy."""

    name: str
    broken_by: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport:
    """`figures` say how much was looked at: accounts, transfers, orders, undelivered, ..."""

    checks: tuple[Check, ...]
    figures: Mapping[str, int]
    broken_seals: tuple[int, ...] = ()
    """Seals of the hash chain that do not hold; 0: the chain ends before its head outside."""

    @property
    def drift(self) -> tuple[UserId, ...]:
        return tuple(sorted({user for check in self.checks for user in check.broken_by}))

    @property
    def healthy(self) -> bool:
        return not self.drift and not self.broken_seals

    def lines(self) -> list[str]:
        """The report as a table for a terminal."""
        width = max(len(name) for name in (*self.figures, *(check.name for check in self.checks)))
        rows = [f"{name:<{width}}  {count:>10,}" for name, count in self.figures.items()]
        for check in self.checks:
            found = "ok" if not check.broken_by else f"{len(check.broken_by)} broken"
            some = ", ".join(map(str, check.broken_by[:5]))
            rows.append(f"{check.name:<{width}}  {found:>10}  {some}".rstrip())
        seals = "ok" if not self.broken_seals else f"{len(self.broken_seals)} broken"
        some = ", ".join(map(str, self.broken_seals[:5]))
        rows.append(f"{'hash chain':<{width}}  {seals:>10}  {some}".rstrip())
        return rows
