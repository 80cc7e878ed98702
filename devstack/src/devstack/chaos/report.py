"""The outcome of a chaos run as a table for people."""

from rich.console import Console
from rich.table import Table

from devstack.chaos.run import Outcome

SHOWN_MAX = 3


def show(outcome: Outcome) -> None:
    """Print what struck, how the orders ended, and each invariant with what broke it."""
    console = Console(width=140)
    struck = ", ".join(f"{name} {count}" for name, count in sorted(outcome.struck.items()))
    ended = ", ".join(f"{state} {count}" for state, count in sorted(outcome.log.outcomes.items()))
    console.print(f"struck: {struck}")
    console.print(f"orders: {len(outcome.log.placed)} placed; {ended}; {outcome.seconds:.0f} s")
    access = ", ".join(f"{end} {count}" for end, count in sorted(outcome.log.access.items()))
    console.print(f"VPN access: {access}")
    table = Table("invariant", "says", "looked at", "broken")
    for finding in outcome.findings:
        broken = str(len(finding.broken)) if finding.broken else "0"
        if finding.broken:
            broken += ": " + "; ".join(finding.broken[:SHOWN_MAX])
        table.add_row(finding.number, finding.says, str(finding.looked_at), broken)
    console.print(table)
    for problem in outcome.problems:
        console.print(f"problem: {problem}")
