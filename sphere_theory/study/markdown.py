"""Numbers, intervals and tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def number(value: float, form: str = ".2f") -> str:
    """A number, or a dash where there is none.

    Parameters
    ----------
    value
        NaN: no number.
    form
        Of Python's format. Default two decimals.

    Returns
    -------
    str
        With a real minus sign.
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    shown = format(value, form)
    # What rounds to 0 has no sign.
    return shown.replace("-", "−") if any(digit in shown for digit in "123456789") else shown.lstrip("+-")


def span(found: Iterable[float], form: str = ".2f") -> str:
    """A number with its interval.

    Parameters
    ----------
    found
        Value, low and high; NaN ends: no interval.
    form
        As of `number`.

    Returns
    -------
    str
        Such as "0.81 [0.78, 0.87]".
    """
    value, low, high = found
    if math.isnan(low) or math.isnan(high):
        return number(value, form)
    return f"{number(value, form)} [{number(low, form)}, {number(high, form)}]"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown.

    Parameters
    ----------
    head
        Names of the columns.
    rows
        Cells.

    Returns
    -------
    str
        Lines, without a final newline; empty without rows.
    """
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) if len(lines) > 1 else ""


def judged(low: float, high: float, above: str, below: str, neither: str) -> str:
    """Words chosen by where an interval lies to 0.

    Parameters
    ----------
    low, high
        The interval; NaN: none.
    above, below, neither
        What to say.

    Returns
    -------
    str
        One of them; a dash without an interval.
    """
    if math.isnan(low) or math.isnan(high):
        return "–"
    if low > 0:
        return above
    return below if high < 0 else neither
