"""A trace on a terminal: one line per span, indented by cause, with a bar on a common time axis."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

BAR_CELLS = 40
BAR_CELLS_NARROW = 12
NARROW_TERMINAL = 110
SERVICE_CELLS = 9
TIME_CELLS = 8
PADDING_CELLS = 10
NAME_CELLS_MIN, NAME_CELLS_MAX = 24, 60
COLOURS: Mapping[str, str] = {
    "gateway": "cyan",
    "billing": "green",
    "generator": "magenta",
    "scheduler": "yellow",
    "vpn": "blue",
}


def waterfall(trace_id: str, spans: Sequence[Mapping[str, Any]], width: int) -> Table:
    """`spans` as the collector's /api/traces/{trace_id} gives them; `width` of the terminal."""
    cells = BAR_CELLS if width >= NARROW_TERMINAL else BAR_CELLS_NARROW
    total_ms = max((span["offset_ms"] + span["duration_ms"] for span in spans), default=0.0)
    room = width - SERVICE_CELLS - 2 * TIME_CELLS - cells - PADDING_CELLS
    name_cells = min(max(room, NAME_CELLS_MIN), NAME_CELLS_MAX)
    table = Table(title=f"trace {trace_id}", title_justify="left", box=None, padding=(0, 1))
    table.add_column("service", no_wrap=True, width=SERVICE_CELLS)
    table.add_column("span", no_wrap=True, width=name_cells)
    table.add_column("start", justify="right", no_wrap=True, width=TIME_CELLS)
    table.add_column("took", justify="right", no_wrap=True, width=TIME_CELLS)
    table.add_column("", no_wrap=True, width=cells)
    for span in spans:
        colour = COLOURS.get(span["service"], "white")
        name = Text("  " * span["depth"] + span["name"], style="red" if span["failed"] else "")
        table.add_row(
            Text(span["service"], style=colour),
            name,
            milliseconds(span["offset_ms"]),
            milliseconds(span["duration_ms"]),
            Text(bar(span["offset_ms"], span["duration_ms"], total_ms, cells), style=colour),
        )
    return table


def bar(offset_ms: float, duration_ms: float, total_ms: float, cells: int = BAR_CELLS) -> str:
    """At least one cell, never beyond the axis."""
    if total_ms <= 0:
        return "█"
    start = min(int(offset_ms / total_ms * cells), cells - 1)
    length = max(1, round(duration_ms / total_ms * cells))
    return " " * start + "█" * min(length, cells - start)


def milliseconds(value: float) -> str:
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.1f} ms"  # noqa: PLR2004
