"""Phrases and tables that more than one question is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sphere_theory.hosts.base import METRICS
from sphere_theory.study.markdown import span, table

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


def about(host: str, runs: int, seeds: int, edits: int) -> str:
    """What a paragraph of the findings is about.

    Parameters
    ----------
    host
        Layer and keys.
    runs, seeds, edits
        How many, and the longest run.

    Returns
    -------
    str
        Markdown.
    """
    return f"**{host}** ({runs} runs, {seeds} seeds, to {edits:,} edits)"


def counts(points: pd.DataFrame) -> tuple[int, int, int]:
    """Runs, seeds and edits of the longest.

    Parameters
    ----------
    points
        Of comparable runs.

    Returns
    -------
    runs, seeds, edits
        Whole numbers.
    """
    return points["run"].nunique(), points["seed"].nunique(), int(points["edits"].max())


def headed(host: str, points: pd.DataFrame) -> str:
    """What a paragraph is about: a host, and how many of its runs.

    Parameters
    ----------
    host
        Layer and keys.
    points
        Of its runs.

    Returns
    -------
    str
        Markdown.
    """
    return about(host, *counts(points))


def spanned(row: Row | pd.Series, column: str, form: str = ".2f") -> str:
    """A column of a row with its interval.

    Parameters
    ----------
    row
        With low and high.
    column
        Which.
    form
        As of `number`.

    Returns
    -------
    str
        As of `span`.
    """
    return span((row[column], row["low"], row["high"]), form)


def gains_table(found: pd.DataFrame) -> str:
    """Gains with intervals, a row an editor and a column a metric.

    Parameters
    ----------
    found
        base, metric, gain, low, high, and of settings, eta and alpha what tells rows of a base apart.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    keys = [key for key in ("base", "settings", "eta", "alpha") if key in found]
    for (base, *_), own in found.groupby(keys, sort=False):
        by = own.set_index("metric")
        rows.append((str(base), *(spanned(by.loc[name], "gain", "+.3f") for name in METRICS)))
    return table(("editor", *METRICS), rows)
