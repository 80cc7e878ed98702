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
# What `checkov --framework kubernetes` runs; but the command first imports every other framework,
# and that takes several times as long as the scan.
SCAN = """
import json, sys
from checkov.kubernetes.runner import Runner
from checkov.runner_filter import RunnerFilter

only = RunnerFilter(framework=["kubernetes"])
report = Runner().run(root_folder=None, files=sys.argv[1:], runner_filter=only)
failed = [[each.check_id, each.resource] for each in report.failed_checks]
print(json.dumps({"summary": report.get_summary(), "failed": failed}))
"""


@pytest.fixture(scope="module")
def checkov():
    """Its Python; the environment is named after the lock, so a new lock makes a new one."""
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
    return folder / "bin" / "python"


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
    paths = []
    for file in RENDERED:
        paths.append(folder / file.replace("/", "-"))
        paths[-1].write_text(render((file,)).text)
    done = subprocess.run(
        [str(checkov), "-c", SCAN, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=SCAN_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 500, "it did not look at much"
    assert report["summary"]["parsing_errors"] == 0
    failed = {}
    for check, resource in report["failed"]:
        failed.setdefault(check, set()).add(resource)
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
