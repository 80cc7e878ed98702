"""A command that was imported before answers as its console script does."""

import os
import sys
from pathlib import Path

import pytest

from devstack.warm_commands import warm_commands

TOY = """
import os, sys

def main():
    print("given", sys.argv, os.environ["WHO"], sep=" ")
    print("aside", file=sys.stderr)
    {end}
"""


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("return", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("sys.exit('words')", 1, "words"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    ],
)
async def test_arguments_environment_output_and_exit_code_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, code: int, said: str
) -> None:
    (tmp_path / "toy.py").write_text(TOY.format(end=end))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async with warm_commands("toy") as toy:
        answers = [await toy.run("toy", "a", environment={"WHO": who}) for who in ("alice", "bob")]

    for who, (ended, output) in zip(("alice", "bob"), answers, strict=True):
        assert ended == code
        assert f"given ['toy', 'a'] {who}" in output
        assert "aside" in output
        assert said in output


async def test_the_real_one_prints_what_its_script_prints() -> None:
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "80"}

    async with warm_commands("vitrine_tools.cli") as vitrine:
        code, output = await vitrine.run("vitrine", "--help", environment=environment)
        wrong, complaint = await vitrine.run("vitrine", "nonsense", environment=environment)

    assert (code, wrong) == (0, 2)
    assert output.startswith("usage: vitrine")
    assert "invalid choice" in complaint
    assert sys.executable not in output
