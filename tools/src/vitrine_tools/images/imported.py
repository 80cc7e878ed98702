"""Runs inside the build: prints which files a service's code imports, so that those are compiled.

`imported.py PACKAGE…`: every module of these packages, and whatever their code names anywhere. What
is installed besides (half of it) stays source: nobody waits for it.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

NOT_RUN = frozenset({"__main__", "testing"})


def modules(package: str) -> Iterator[str]:
    yield package
    found = importlib.import_module(package)
    for each in pkgutil.walk_packages(found.__path__, f"{package}."):
        if each.name.rpartition(".")[2] not in NOT_RUN:
            yield each.name


def named(path: Path) -> Iterator[str]:
    """Every absolute import of a file, inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def load(name: str) -> None:
    """Import it if it is a module, and if this image holds what it needs."""
    try:
        importlib.import_module(name)
    except ImportError:
        return


def main(packages: list[str]) -> None:
    for package in packages:
        for name in modules(package):
            load(name)
    for path in sorted(files()):
        if path.suffix == ".py" and any(f"/{each}/" in str(path) for each in packages):
            for name in sorted(set(named(path))):
                load(name)
    if (pillow := sys.modules.get("PIL.Image")) is not None:
        pillow.init()  # its formats are found by name, at the first picture
    sys.stdout.write("\n".join(sorted(str(path) for path in files())) + "\n")


def files() -> set[Path]:
    loaded = (getattr(each, "__file__", None) for each in list(sys.modules.values()))
    return {Path(each) for each in loaded if each}


if __name__ == "__main__":
    main(sys.argv[1:])
