"""The chart's README: its table of values, made from the comments in values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHART = Path(__file__).resolve().parents[3] / "charts" / "vitrine"
BEGIN = "<!-- values: written by tools/write_chart_readme.py from values.yaml -->"
END = "<!-- end of values -->"
_FIRST = re.compile(r"\s*# -- (?P<text>.*)")
_MORE = re.compile(r"\s*# (?P<text>.*)")
SHARED = ("services.gateway.", "services.<service>.")
"""The first service's rows stand for all five; another's are what differs."""


class Row(NamedTuple):
    path: str
    default: str
    meaning: str


def rows(text: str) -> list[Row]:
    """Every value with a comment `# -- ...` above it, in the file's order."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return list(_rows(root, (), text.splitlines(), yaml.safe_load(text)))


def _rows(
    node: yaml.MappingNode, path: tuple[str, ...], lines: list[str], values: Any
) -> Iterator[Row]:
    for key, value in node.value:
        if key.value == "<<":
            continue
        here = (*path, key.value)
        meaning = _meaning(lines, key.start_mark.line)
        if meaning:
            shown = ".".join(here).replace(*SHARED)
            yield Row(shown, json.dumps(values[key.value], ensure_ascii=False), meaning)
        elif isinstance(value, yaml.MappingNode):
            yield from _rows(value, here, lines, values[key.value])


def _meaning(lines: list[str], number: int) -> str:
    """The comment that ends just above a line; empty when it does not begin with `--`."""
    found: list[str] = []
    for line in reversed(lines[:number]):
        if first := _FIRST.fullmatch(line):
            return " ".join([first["text"], *reversed(found)])
        more = _MORE.fullmatch(line)
        if more is None:
            return ""
        found.append(more["text"])
    return ""


def undocumented(text: str) -> list[str]:
    """Values that have no comment and are no map of others that do."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    documented = {row.path for row in rows(text)}
    return [path for path in _leaves(root, (), text.splitlines()) if path not in documented]


def _leaves(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[str]:
    for key, value in node.value:
        here = (*path, key.value)
        if key.value == "<<" or (len(here) > 1 and here[0] == "services" and here[1] != "gateway"):
            continue  # what a service's entry repeats was told at the first one
        if _meaning(lines, key.start_mark.line):
            continue
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _leaves(value, here, lines)
        else:
            yield ".".join(here).replace(*SHARED)


def table(text: str) -> str:
    lines = ["| value | default | what it decides |", "|---|---|---|"]
    lines += [f"| `{row.path}` | `{row.default}` | {_cell(row.meaning)} |" for row in rows(text)]
    return "\n".join(lines)


def _cell(meaning: str) -> str:
    return meaning.replace("|", "\\|")


def with_table(readme: str, values: str) -> str:
    """The README with the table of these values between its two marks."""
    head, found, rest = readme.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    assert found, f"the README lacks the line {BEGIN}"
    assert ended, f"the README lacks the line {END}"
    return f"{head}{BEGIN}\n{table(values)}\n{END}{tail}"
