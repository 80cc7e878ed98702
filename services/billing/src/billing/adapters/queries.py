"""Loads queries.sql: each query under its name, after one sentence saying what it is for."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def read(path: Path) -> dict[str, str]:
    """The queries of a file by name. Raises ValueError for a doubled name or a missing sentence."""
    pieces = _NAME.split(path.read_text(encoding="utf-8"))[1:]
    found: dict[str, str] = {}
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        if name in found:
            raise ValueError(f"{path.name}: {name} stands twice")
        lines = body.strip().splitlines()
        if not lines[0].startswith("-- "):
            raise ValueError(f"{path.name}: {name} has no sentence")
        found[name] = "\n".join(line for line in lines if not line.startswith("-- "))
    return found


SQL = read(Path(__file__).with_name("queries.sql"))
