"""Paragraphs of a printed proof."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
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


def asked(
    argv: Sequence[str] | None,
    known: Iterable[str],
    usage: str | None,
    write: Callable[[str], object],
    kind: str = "proof",
) -> list[str] | int:
    """Which proofs a command line asks for; the exit status where that ends it.

    Parameters
    ----------
    argv
        Names of claims; the command line's when absent.
    known
        Those that have a proof, in printing order.
    usage
        What --help tells before their names.
    write
        Where it is told.
    kind
        What is asked for, in words.

    Returns
    -------
    The names, all that are known where none is given; 0 after --help, 2 for an unknown one.
    """
    names, all_known = list(sys.argv[1:] if argv is None else argv), list(known)
    if {"-h", "--help"} & set(names):
        write(f"{usage}\nProofs: {' '.join(all_known)}\n")
        return 0
    unknown = [name for name in names if name not in all_known]
    if unknown:
        sys.stderr.write(f"no {kind} named {', '.join(unknown)}; there are: {' '.join(all_known)}\n")
        return 2
    return names or all_known
