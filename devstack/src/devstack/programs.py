"""Programs of others that tests run: without one CI fails, and elsewhere the test says so."""

import os

import pytest


def needed(found: str | None, missing: str) -> str:
    """Return the program's path. Where there is none, a skip would hide that nothing is tested."""
    if found is not None:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
