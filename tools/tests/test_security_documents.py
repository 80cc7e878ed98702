"""The documents about security name tests and files that exist, and no others."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("docs/security.md", "docs/cluster-tests.md")
FOLDERS = ("libs", "services", "simulators", "devstack", "tools", "tests")
DEFINED = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)
NAMED = re.compile(r"`(test_\w+)`")
FILE = re.compile(r"(?<![\w/.-])(?:charts|contracts|chassis|docs|libs|tests|tools)/[\w/.-]*\.\w+")
THREATS = tuple("STRIDE")
EDGES = (
    "Telegram → gateway",
    "payment providers → billing",
    "→ vpn",
    "Service ↔ NATS",
    "Service ↔ Postgres",
    "Generator → ComfyUI",
    "vpn → node agent",
    "Agent → core",
    "Operator command lines",
    "Image supply chain",
    "Kubernetes",
)


@cache
def defined() -> frozenset[str]:
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("test_*.py"))
    return frozenset(name for path in files for name in DEFINED.findall(path.read_text()))


def unknown(text: str) -> set[str]:
    """Tests it names that nobody wrote."""
    return set(NAMED.findall(text)) - defined()


def sections(text: str) -> dict[str, list[list[str]]]:
    """Rows of the tables under each numbered heading."""
    found: dict[str, list[list[str]]] = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        rows = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("|")]
        if re.match(r"\d+\. ", title):
            found[title] = rows[2:]
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_it_names_exists(document: str) -> None:
    text = (ROOT / document).read_text()

    assert len(NAMED.findall(text)) > 10
    assert unknown(text) == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_it_names_exists(document: str) -> None:
    named = set(FILE.findall((ROOT / document).read_text()))

    places = (ROOT, ROOT / "libs/chassis/src", ROOT / "libs/contracts/src")
    assert [each for each in named if not any((place / each).exists() for place in places)] == []


def test_every_edge_is_looked_at_for_every_kind_of_threat() -> None:
    found = sections((ROOT / DOCUMENTS[0]).read_text())

    for edge in EDGES:
        (title,) = (each for each in found if edge in each)
        kinds = {row[0].strip() for row in found[title]}
        assert kinds >= set(THREATS) - {"R"}, f"{title} lacks {set(THREATS) - kinds}"
        for row in found[title]:
            assert len(row) == 4, row
            assert row[3].strip(), f"{title}: nothing answers «{row[1]}»"


def test_a_test_that_nobody_wrote_is_found() -> None:
    absent = "test_" + "nobody_wrote_this"

    assert unknown(f"`{absent}` `test_a_test_that_nobody_wrote_is_found`") == {absent}
