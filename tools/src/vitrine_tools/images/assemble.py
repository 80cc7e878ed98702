"""Runs inside the build: puts our packages beside the installed ones, in a tree made to the byte.

`assemble SERVICE SOURCE TARGET EPOCH` with SOURCE the repository and TARGET the image's root to
be; our folders keep their places below /app, because migrations and the catalogue are found by
them. Standard library only: nothing else is installed there.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from vitrine_tools.images import imported, plan, prune, sbom

APP = Path("app")
VENV = Path("/opt/venv")
SITE_PACKAGES = VENV / "lib/python3.11/site-packages"
TEXTS = "services/gateway/src/gateway/bot/texts"
UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
"""The bytes depend on the source alone, on no file's time."""
EXECUTABLE, PLAIN = 0o755, 0o644
STATEMENT = "#!{python}\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"


def assemble(service: str, source: Path, target: Path) -> None:
    """Copy the members, make them importable, and leave nothing to be written at run time."""
    app = target / APP
    image = plan.IMAGES[service]
    members = plan.members_of(image, source)
    for folder in members:
        _copy(source, folder, app)
    _remove_programs()
    _make_known(members, source)
    _program("service", f'#!/bin/sh\nexec {" ".join(image.command)} "$@"\n')
    shutil.copytree(source / "catalogue", app / "catalogue")
    shutil.copy(source / "tools/src/vitrine_tools/images/init.py", app / "init.py")
    languages = tuple(sorted(path.stem for path in (source / TEXTS).glob("*.ftl")))
    prune.prune(SITE_PACKAGES, languages)
    _compile_imported(members, source, app)
    if not compileall.compile_dir(
        app, quiet=2, force=True, invalidation_mode=UNCHECKED, stripdir=str(target), prependdir="/"
    ):
        raise SystemExit(f"{app} does not compile")


def _copy(source: Path, folder: Path, app: Path) -> None:
    place = app / folder.relative_to(source)
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("src", "migrations"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, place / name, ignore=unwanted)


def _remove_programs() -> None:
    """What packages bring for a shell: nobody has one here, and ours are written next."""
    for path in (VENV / "bin").iterdir():
        if not path.name.startswith("python"):
            path.unlink()
    for name in ("include", "share"):
        shutil.rmtree(VENV / name, ignore_errors=True)


def _make_known(members: tuple[Path, ...], source: Path) -> None:
    """What an installer would write: search path, name and version, and the programs."""
    paths = [f"/{APP / folder.relative_to(source)}/src" for folder in members]
    (SITE_PACKAGES / "vitrine.pth").write_text("\n".join(paths) + "\n")
    for folder in members:
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        name = project["name"].replace("-", "_")
        info = SITE_PACKAGES / f"{name}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
            f"Summary: {project['description']}\n"
        )
        for program, entry in project.get("scripts", {}).items():
            module, _, function = entry.partition(":")
            _program(
                program,
                STATEMENT.format(python=VENV / "bin/python", module=module, function=function),
            )


def _program(name: str, text: str) -> None:
    path = VENV / "bin" / name
    path.write_text(text)
    path.chmod(EXECUTABLE)


def _compile_imported(members: tuple[Path, ...], source: Path, app: Path) -> None:
    """A read-only root cannot keep what Python compiles, so that each start would do it again."""
    sources = [app / folder.relative_to(source) / "src" for folder in members]
    packages = [each.name for folder in sources for each in folder.iterdir() if each.is_dir()]
    path = os.pathsep.join(map(str, sources))
    printed = subprocess.run(
        [VENV / "bin/python", "-B", Path(imported.__file__), *packages],
        env={"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PATH": os.defpath},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    for name in printed.splitlines():
        if name.startswith(str(SITE_PACKAGES)) and name.endswith(".py"):
            py_compile.compile(name, doraise=True, invalidation_mode=UNCHECKED)


def make_equal(root: Path, epoch: int) -> None:
    """The same times and modes, whoever checked the repository out, and when."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            plain = PLAIN if path.is_file() and not path.stat().st_mode & 0o100 else EXECUTABLE
            path.chmod(plain)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def main() -> None:
    service, source, target, epoch = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    assemble(service, source, target)
    sbom.write(service, target / APP / "sbom.json", int(epoch))
    for root in (VENV, target):
        make_equal(root, int(epoch))


if __name__ == "__main__":
    main()
