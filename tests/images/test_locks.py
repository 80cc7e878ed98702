"""Each image's lock is what requirements.lock says of it, and covers what its code imports."""

import ast
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from vitrine_tools.images import locks, plan

# Too heavy for images whose code never gets there: asked for by name, they say what is missing.
ONLY_IN = {"pyarrow": {"operator"}, "cryptography": {"operator", "vpn"}}
# Ours, for tests and for the repository itself: no image runs it.
NOT_RUN = {"testing.py", "chart_readme.py"}
OURS = {"contracts", "chassis", "simulators", "vitrine_tools", *plan.IMAGES}


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    return locks.pins(locks.LOCK.read_text())


@pytest.fixture(scope="module")
def providers() -> Mapping[str, Sequence[str]]:
    """Which packages are installed under each name that may be imported."""
    return packages_distributions()


@pytest.mark.parametrize("image", plan.IMAGES.values(), ids=list(plan.IMAGES))
def test_a_lock_is_as_written(image: plan.Image, known: dict[str, str]) -> None:
    written = (locks.FOLDER / f"{image.service}.lock").read_text()

    assert written == locks.lock_of(image, known), "run `make locks`"


def test_nobody_else_has_a_lock() -> None:
    assert {path.stem for path in locks.FOLDER.iterdir()} == set(plan.IMAGES)


def test_every_pin_carries_hashes_and_no_address(known: dict[str, str]) -> None:
    assert len(known) > 100
    for name, lines in known.items():
        assert "--hash=sha256:" in lines, name
        assert "://" not in lines, name


@pytest.mark.parametrize("image", plan.IMAGES.values(), ids=list(plan.IMAGES))
def test_what_the_code_imports_is_in_the_lock(
    image: plan.Image, providers: Mapping[str, Sequence[str]]
) -> None:
    installed = locks.needed(image)
    missing = {}
    for folder in plan.members_of(image):
        for path, module in imports(folder / "src"):
            if module in sys.stdlib_module_names or module in OURS:
                continue
            by = {plan.normal(name) for name in providers.get(module, ())}
            if not by & installed and image.service in ONLY_IN.get(module, plan.IMAGES):
                missing[module] = str(path)

    assert not missing


def test_what_links_gpl_libraries_is_in_the_simulators_image_alone() -> None:
    assert {image.service for image in plan.IMAGES.values() if "av" in locks.needed(image)} == {
        "simulators"
    }


@functools.cache
def imports(folder: Path) -> Sequence[tuple[Path, str]]:
    """The first word of whatever a package imports, type checking apart."""
    return tuple(_imports(folder))


def _imports(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in folder.rglob("*.py"):
        if path.name in NOT_RUN or "images" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        types_only = {
            id(each)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for each in ast.walk(node)
        }
        for node in ast.walk(tree):
            if id(node) in types_only:
                continue
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield path, name.name.partition(".")[0]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield path, node.module.partition(".")[0]
