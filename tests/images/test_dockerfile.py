"""The Dockerfile pleases hadolint, and stays inside the dialect of Debian's podman."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.settings import REPOSITORY

DOCKERFILE = REPOSITORY / "Dockerfile"
# Of buildah 1.28, which is Debian 12's (docs/images.md).
REFUSED = (r"COPY\s+--link", r"<<-?\s*['\"]?\w+", r"--network=none")
# What would belong to one machine, or give more than a service needs.
UNWANTED = (r"\bapt-get\b", r"\bcurl\b", r"index-url", r"\bsudo\b", r"ADD\s+http")


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")

    found = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stdout + found.stderr


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nCMD service\n")

    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, bad], capture_output=True, text=True, check=False)

    assert found.returncode == 1
    assert "DL3006" in found.stdout


@pytest.mark.parametrize("pattern", [*REFUSED, *UNWANTED])
def test_no_line_is_out_of_the_dialect(pattern: str) -> None:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]

    assert not [line for line in lines if re.search(pattern, line)]


def test_the_last_stage_runs_nothing_and_is_nobody_s_root() -> None:
    last = DOCKERFILE.read_text().rpartition("\nFROM ")[2]

    assert not re.search(r"^RUN\b", last, re.MULTILINE)
    assert "\nUSER 10001:10001\n" in last
    assert '\nENTRYPOINT ["/opt/venv/bin/python"' in last


def test_only_what_an_image_is_made_of_reaches_the_build() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]

    assert listed[0] == "*"
    assert {line[1:] for line in listed if line.startswith("!")} == {
        "requirements",
        "catalogue",
        "tools",
        "libs",
        "services",
        "simulators",
    }
    assert {"**/tests", "**/.env", "**/*.key", "**/*.pem"} <= set(listed)
