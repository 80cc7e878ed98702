"""Writes the Python of every .proto in services: `make proto`. Generated files are committed."""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
HEADER = "# ruff: noqa: PGH004\n# ruff: noqa\n# fmt: off\n# mypy: ignore-errors\n"


def write(source: Path, target: Path) -> list[Path]:
    """Generate `<name>_pb2.py` and its stub into `target`; linters are told to leave them alone."""
    code = protoc.main(
        [
            "protoc",
            f"-I{source.parent}",
            f"--python_out={target}",
            f"--pyi_out={target}",
            source.name,
        ]
    )
    if code != 0:
        raise SystemExit(code)
    written = [target / f"{source.stem}_pb2{suffix}" for suffix in (".py", ".pyi")]
    for path in written:
        path.write_text(HEADER + path.read_text(encoding="utf-8"), encoding="utf-8")
    return written


def main() -> None:
    sources = [Path(name) for name in sys.argv[1:]] or sorted(
        ROOT.glob("services/*/src/**/*.proto")
    )
    for source in sources:
        for path in write(source, source.parent):
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
