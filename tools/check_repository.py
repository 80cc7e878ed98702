"""Checks a linter cannot express: lengths, host names, paths, runbooks, scripts, dependencies."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
SOURCES = ("libs", "services", "simulators", "devstack", "tools")
REGISTRY = re.compile("//[a-z0-9.-]*(?:py" + "pi|python" + "hosted|npm" + r"js)|//deb\.")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:wo" + "rk|fa" + "rm|ro" + r"ot)/")


def tracked() -> list[Path]:
    """Return what git tracks or would track, below the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"


def check_python(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"1: the file has {lines} lines, at most {FILE_LINES_MAX}"
    if "tests" not in path.parts:
        yield from long_functions(path)


def check_text(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return
    for number, line in enumerate(lines, start=1):
        if REGISTRY.search(line):
            yield f"{number}: names a package registry's host"
        if path.suffix != ".lock" and MACHINE_PATH.search(line):
            yield f"{number}: holds a path of one machine"


def check_scripts() -> Iterator[str]:
    """Every [project.scripts] entry names a module and a function that exist."""
    for manifest in ROOT.glob("*/*/pyproject.toml"):
        yield from _scripts_of(manifest)
    for name in ("simulators", "devstack", "tools"):
        yield from _scripts_of(ROOT / name / "pyproject.toml")


def _scripts_of(manifest: Path) -> Iterator[str]:
    project = tomllib.loads(manifest.read_text(encoding="utf-8"))["project"]
    for script, target in project.get("scripts", {}).items():
        module, _, function = target.partition(":")
        path = manifest.parent / "src" / f"{module.replace('.', '/')}.py"
        if not path.exists():
            yield f"{manifest.relative_to(ROOT)}: {script}: no module {module}"
            continue
        defined = {
            node.name
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        if function not in defined:
            yield f"{manifest.relative_to(ROOT)}: {script}: {module} has no {function}"


def check_dependencies() -> Iterator[str]:
    """What a member depends on is in requirements.in, so that the lock covers it."""
    listed = {
        re.split(r"[<>=~\[ ]", line, maxsplit=1)[0].lower()
        for line in (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    for manifest in (*ROOT.glob("*/*/pyproject.toml"), *ROOT.glob("*/pyproject.toml")):
        project = tomllib.loads(manifest.read_text(encoding="utf-8"))["project"]
        for dependency in project.get("dependencies", []):
            name = re.split(r"[<>=~\[ ]", dependency, maxsplit=1)[0].lower()
            if not name.startswith("vitrine-") and name not in listed:
                yield f"{manifest.relative_to(ROOT)}: {name} is not in requirements.in"


def check_catalogue_titles() -> Iterator[str]:
    """Every workflow's title and description have a text in every language."""
    texts = sorted((ROOT / "services/gateway/src/gateway/bot/texts").glob("*.ftl"))
    for manifest in (ROOT / "catalogue").glob("*/manifest.toml"):
        workflow = tomllib.loads(manifest.read_text(encoding="utf-8"))
        for text in texts:
            keys = set(
                re.findall(r"^([a-z0-9-]+) =", text.read_text(encoding="utf-8"), re.MULTILINE)
            )
            for field in ("title_key", "description_key"):
                if workflow[field] not in keys:
                    yield f"{text.relative_to(ROOT)}: {workflow[field]} is missing"


def main() -> int:
    problems = [*check_scripts(), *check_dependencies(), *check_catalogue_titles()]
    for path in tracked():
        place = path.relative_to(ROOT)
        found = list(check_text(path))
        if path.suffix == ".py" and place.parts[0] in SOURCES:
            found += check_python(path)
        problems += [f"{place}:{problem}" for problem in found]
    for problem in problems:
        print(problem)
    print(f"check_repository: {len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
