"""Paragraphs of a printed proof."""

from __future__ import annotations

from shutil import get_terminal_size
from textwrap import fill

WIDEST = 110
"""Columns of a page without a terminal, and the most that an eye follows."""


def wrapped(text: str, indent: int, hanging: int | None = None) -> str:
    """Each line of a text as a paragraph as wide as the terminal.

    Parameters
    ----------
    text
        One paragraph a line.
    indent, hanging
        Columns before the first line of a paragraph and before its others, which is two more when absent.

    Returns
    -------
    The text, without a line break at its end.
    """
    width = min(get_terminal_size((WIDEST, 24)).columns, WIDEST)
    first, rest = " " * indent, " " * (indent + 2 if hanging is None else hanging)
    return "\n".join(
        fill(line, width, initial_indent=first, subsequent_indent=rest, break_long_words=False)
        for line in text.splitlines()
    )
