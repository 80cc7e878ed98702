"""Every test here renders the chart with the real helm; without one they are skipped, aloud."""

import os
from pathlib import Path

import pytest

from devstack.kubernetes_tools import ToolsMissingError, tools

ONE_PROCESS = "chart"
"""Renders are kept per process."""


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(ONE_PROCESS))


@pytest.fixture(scope="session", autouse=True)
def helm_is_here():
    try:
        return tools()
    except ToolsMissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"THE CHART IS NOT TESTED: {error}")
