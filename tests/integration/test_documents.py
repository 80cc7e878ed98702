"""What the documents name exists: files, make targets, and the four parts of each runbook."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for folder in ("*.md", "docs/**/*.md", "services/*/*.md", "catalogue/*.md")
    for page in ROOT.glob(folder)
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
MAKE = re.compile(r"\bmake ([a-z]+)`|^make ([a-z]+)\b", re.MULTILINE)
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_make_target_of_a_page_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = TARGET.findall((ROOT / "Makefile").read_text())

    broken = [
        link for link in LINK.findall(text) if not (ROOT / page).parent.joinpath(link).exists()
    ]
    unknown = {name for pair in MAKE.findall(text) for name in pair if name and name not in targets}

    assert broken == []
    assert unknown == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/runbooks/")])
def test_a_runbook_has_its_four_parts_and_the_alerts_name(page: str) -> None:
    lines = (ROOT / page).read_text().splitlines()

    assert lines[0] == f"# {Path(page).stem}"
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == HEADINGS
