"""Every test here renders the chart with the real helm; without one they are skipped, aloud."""

import os
from pathlib import Path

import pytest

from devstack.kubernetes_tools import ToolsMissingError, tools
from devstack.network_policies import Network

ONE_PROCESS = "chart"
"""Renders are kept per process."""
APART = {"test_checkov", "test_network_peers", "test_refusals"}
"""They share few renders with the others, and go beside them."""


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and not item.get_closest_marker("xdist_group"):
            group = "chart-apart" if item.path.stem in APART else ONE_PROCESS
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session", autouse=True)
def helm_is_here():
    try:
        return tools()
    except ToolsMissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"THE CHART IS NOT TESTED: {error}")


@pytest.fixture(autouse=True)
def helm_collects_no_garbage(monkeypatch):
    """It ends before its memory counts, and half of its processor time was that."""
    monkeypatch.setenv("GOGC", "off")


@pytest.fixture(scope="session")
def dev():
    return Network(("values-dev.yaml",))


@pytest.fixture(scope="session")
def everything():
    return Network(("ci/everything-values.yaml",))
