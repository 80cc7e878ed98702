"""Commands of the runbooks exist, wherever the shop runs, and their SQL fits the tables."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from billing import cli as billing
from devstack.testing import DatabaseServer, fresh_database
from scheduler import cli as scheduler
from vitrine_tools import cli as vitrine
from vitrine_tools.schemas import committed
from vpn import cli as vpn

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
PARSERS = {
    "vitrine": vitrine._parser,
    "billing": billing._parser,
    "scheduler": scheduler._parser,
    "vpn": vpn._parser,
}
ELSEWHERE = {"curl", "kubectl", "jq", "base64", "openssl", "grep", "systemctl", "timedatectl"}
"""Run on one's own machine or on a node, as the page says."""
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINE = re.compile(r"(?:\"[^\"]*\"|[^\"\n])+")
"""Up to its end, or to that of what it quotes."""
EXAMPLES = {
    "<id>": "0193a1b2-0000-7000-8000-000000000000",
    "<charge, invoice or user id>": "7",
    "<provider>": "stars",
    "<service>": "billing",
    "<name>": "node-1",
    "<key>": "order:7",
}


def commands(page: Path) -> Iterator[list[str]]:
    """Every command of a page's blocks, in words; what comes after a pipe is one of its own."""
    for block in BLOCK.findall(page.read_text()):
        for placeholder, example in EXAMPLES.items():
            block = block.replace(placeholder, example)  # noqa: PLW2901 - the same, to be parsed
        for line in LINE.findall(block):
            for command in line.split(" | "):
                if words := shlex.split(command, comments=True):
                    yield words


def test_the_runbooks_say_commands_in_blocks() -> None:
    assert sum(len(list(commands(page))) for page in RUNBOOKS) > 20


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_every_command_of_a_runbook_exists_and_says_where_it_is_run(page: Path) -> None:
    ours = 0
    for program, *words in commands(page):
        if program not in PARSERS:
            assert program in ELSEWHERE, f"{program}: where is that run?"
            ours += program == "curl"
            continue
        ours += 1
        with contextlib.redirect_stderr(io.StringIO()) as complaint:
            try:
                PARSERS[program]().parse_args(words)
            except SystemExit:
                pytest.fail(f"{program} {' '.join(words)}: {complaint.getvalue()}")
    assert not ours or "(../operators.md)" in page.read_text()


async def test_sql_of_the_runbooks_fits_the_tables(postgres_server: DatabaseServer) -> None:
    asked = [
        (page.stem, words[2], words[3])
        for page in RUNBOOKS
        for words in commands(page)
        if words[:2] == ["vitrine", "sql"]
    ]
    assert len(asked) > 5
    async with fresh_database(postgres_server) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            for service in {service for _, service, _ in asked}:
                await connection.execute(committed(service).read_text())
            for page, service, question in asked:
                tables = set(re.findall(r"FROM (\w+)\.", question))
                assert tables == {service}, f"{page}: {service}'s login sees its own tables"
                await connection.prepare(question.replace(f"= {EXAMPLES['<id>']}", "= NULL"))
        finally:
            await connection.close()
