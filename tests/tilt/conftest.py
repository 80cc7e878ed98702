"""The real `helm template`, once for each set of arguments."""

import functools
import os
import subprocess
from pathlib import Path

import pytest

from devstack.kubernetes_tools import ToolsMissingError, tools

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def render():
    try:
        helm = tools().helm
    except ToolsMissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"THE TILTFILE IS NOT TESTED: {error}")

    @functools.cache
    def rendered(chart: str, name: str, namespace: str, values: tuple, sets: tuple = ()) -> str:
        command = [helm, "template", name, chart, "--namespace", namespace]
        for option, given in (("--values", values), ("--set", sets)):
            for each in given:
                command += [option, each]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return rendered
