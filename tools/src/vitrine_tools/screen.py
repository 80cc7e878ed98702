"""What commands print: no stored text may command the terminal it is shown on."""

from __future__ import annotations

import json

from rich.console import Console

WIDTH_OF_A_FILE = 400
"""For grep: no line is broken in two."""


def plain(value: object) -> str:
    r"""Return it in one line: what is no letter, figure or sign is written as `\u001b` is."""
    text = str(value)
    if text.isprintable():
        return text
    # As JSON has it, so that JSON with these in its strings stays what it is.
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def plain_lines(text: str) -> str:
    """Return it with the line breaks it has."""
    return "\n".join(map(plain, text.split("\n")))


def console(width: int | None = None) -> Console:
    """Prints text as it is: `:stars:` in one is no picture, `[...]` no markup."""
    return Console(width=width, markup=False, emoji=False, highlight=False)


def wide_console() -> Console:
    """The terminal's width, or that of a file."""
    found = console()
    return found if found.is_terminal else console(WIDTH_OF_A_FILE)
