"""checkov finds nothing in what is rendered, but for what checkov.yaml gives reasons for.

It wants other versions of libraries than we do, so it lives in an environment of its own, made at
the first use from requirements-checks.lock and kept.
"""

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

from devstack.chart import render
from devstack.kubernetes_tools import cache_dir, locked
from devstack.settings import REPOSITORY

# Beside the tests that render, for it is busy for as long as all of them.
pytestmark = [pytest.mark.xdist_group("checkov"), pytest.mark.timeout(700)]
LOCK = REPOSITORY / "requirements-checks.lock"
SKIPPED = yaml.safe_load(Path(__file__).with_name("checkov.yaml").read_text())
RENDERED = ("values-dev.yaml", "ci/everything-values.yaml")
INSTALL_SECONDS_MAX = 300
SCAN_SECONDS_MAX = 300


@pytest.fixture(scope="module")
def checkov():
    """The program; its environment is named after the lock, so a new lock makes a new one."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = cache_dir() / f"checks-venv-{digest}"
    done = folder / "installed"
    with locked(folder):
        if not done.exists():
            venv.create(folder, with_pip=False, clear=True)
            problem = install(folder)
            if problem:
                if os.environ.get("CI"):
                    pytest.fail(problem)
                pytest.skip(f"CHECKOV DID NOT LOOK AT THE CHART: {problem}")
            done.touch()
    return folder / "bin" / "checkov"


def install(folder):
    """What went wrong, or nothing."""
    words = [
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--python",
        str(folder / "bin/python"),
    ]
    made = subprocess.run(
        [str(Path(sys.executable).with_name("uv")), *words, "-r", str(LOCK)],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS_MAX,
        check=False,
    )
    return made.stderr.strip()[-500:] if made.returncode else ""


@pytest.fixture(scope="module")
def found(checkov, tmp_path_factory):
    """Every check that failed, by its id, with the objects it failed for."""
    folder = tmp_path_factory.mktemp("rendered")
    words = ["--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "-o", "json"]
    for file in RENDERED:
        path = folder / file.replace("/", "-")
        path.write_text(render((file,)).text)
        words += ["--file", str(path)]
    done = subprocess.run(
        [str(checkov), *words],
        capture_output=True,
        text=True,
        timeout=SCAN_SECONDS_MAX,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 500, "it did not look at much"
    assert report["summary"]["parsing_errors"] == 0
    failed = {}
    for each in report["results"]["failed_checks"]:
        failed.setdefault(each["check_id"], set()).add(each["resource"])
    return failed


def test_nothing_is_found_that_has_no_reason(found):
    unexplained = {check: sorted(found[check]) for check in found.keys() - SKIPPED.keys()}

    assert unexplained == {}


def test_every_reason_is_still_needed(found):
    assert SKIPPED.keys() - found.keys() == set()


def test_exceptions_for_few_are_not_used_by_others(found):
    """Probes may lack where a pod ends by itself; one image brings a user of its own."""
    for check in ("CKV_K8S_8", "CKV_K8S_9"):
        for resource in found.get(check, ()):
            assert resource.startswith(("Job.", "Pod.")), resource
    assert found["CKV_K8S_40"] == {"StatefulSet.default.vitrine-postgres"}
