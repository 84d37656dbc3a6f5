"""What all measurements share: rows, the rivals that they have to rule out, and how rates are told.

A measurement that agrees with a statement shows little unless it would have disagreed with others. So each
names its rivals, statements that one could have made instead, and what in a row of its numbers contradicts
them; a rival that no row contradicts is a surprise.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Evidence, Finding

Row = dict[str, Any]
_Contradicts = Callable[[Row], bool]

# Of every interval that is not said to be another.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measurement:
    """Something measured, and the statements that its rows have to contradict.

    Attributes
    ----------
    take
        Measures, and says whether the ledger's statement held.
    rows
        Key of the rows in the finding's data.
    rivals
        Statements by name; each with what in a row contradicts it.
    """

    take: Callable[[Context], Finding]
    rows: str
    rivals: Mapping[str, _Contradicts]

    def __call__(self, context: Context) -> Finding:
        """Measure, and ask every rival.

        Parameters
        ----------
        context
            How to run.

        Returns
        -------
        Finding
            As expected if the ledger's statement held and no rival did; the rivals are in its data as
            "mutants", each with after how many rows it was ruled out.
        """
        found = self.take(context)
        rows = found.data[self.rows]
        mutants = [_ruled_out(name, contradicts, rows) for name, contradicts in self.rivals.items()]
        alive = [one["name"] for one in mutants if not one["killed"]]
        summary = found.summary + (f"; NOT RULED OUT: {'; '.join(alive)}" if alive else "")
        return replace(
            found,
            expected=found.expected and not alive,
            summary=summary,
            data=found.data | {"mutants": mutants},
        )


def _ruled_out(name: str, contradicts: _Contradicts, rows: Sequence[Row]) -> Row:
    after = next((k for k, row in enumerate(rows, 1) if contradicts(row)), None)
    return {"name": name, "killed": after is not None, "after": len(rows) if after is None else after}


def against(
    rows: str, rivals: Mapping[str, _Contradicts]
) -> Callable[[Callable[[Context], Finding]], Measurement]:
    """Make a function that measures into a `Measurement` with these rivals.

    Parameters
    ----------
    rows
        Key of the rows in the finding's data.
    rivals
        Statements by name; each with what in a row contradicts it.

    Returns
    -------
    Callable
        A decorator.
    """
    return lambda take: Measurement(take, rows, rivals)


def measured(name: str, measurement: Measurement) -> Evidence:
    """A measurement as evidence.

    Parameters
    ----------
    name
        What is measured.
    measurement
        Takes it.

    Returns
    -------
    Evidence
        Of kind "measurement", with the names of the rivals that it rules out.
    """
    return Evidence("measurement", name, measurement, tuple(measurement.rivals))


def spread(values: Iterable[float]) -> str:
    """Median and range in four digits.

    Parameters
    ----------
    values
        Some numbers.

    Returns
    -------
    str
        Such as "0.9 [0.88, 0.92]"; of one number that one.
    """
    found = list(values)
    if len(found) == 1:
        return f"{found[0]:.4g}"
    return f"{statistics.median(found):.4g} [{min(found):.4g}, {max(found):.4g}]"


def brief(values: Iterable[float]) -> str:
    """Range in three digits.

    Parameters
    ----------
    values
        Some numbers.

    Returns
    -------
    str
        Such as "0.883 to 0.924"; of one number that one.
    """
    found = list(values)
    low, high = f"{min(found):.3g}", f"{max(found):.3g}"
    return low if low == high else f"{low} to {high}"


def counted(count: int, noun: str) -> str:
    """A number of things in words.

    Parameters
    ----------
    count
        How many.
    noun
        One of them.

    Returns
    -------
    str
        Such as "1 layer" or "6 layers".
    """
    return f"{count:,} {noun}" + "s" * (count != 1)


def proportion(hits: int, trials: int) -> Row:
    """How often something happened, with Wilson's 95% interval of the rate.

    Parameters
    ----------
    hits, trials
        Counts, trials ≥ 1.

    Returns
    -------
    dict
        hits, trials, rate, low, high.
    """
    from scipy.stats import binomtest

    ends = binomtest(hits, trials).proportion_ci(CONFIDENCE, method="wilson")
    return {
        "hits": hits,
        "trials": trials,
        "rate": hits / trials,
        "low": float(ends.low),
        "high": float(ends.high),
    }


def rate_text(found: Row) -> str:
    """A rate in words.

    Parameters
    ----------
    found
        As `proportion` returns it.

    Returns
    -------
    str
        Such as "5 of 24 (21% [9%, 40%])".
    """
    ends = f"[{found['low']:.0%}, {found['high']:.0%}]"
    return f"{found['hits']} of {found['trials']} ({found['rate']:.0%} {ends})"


def largest(values: Iterable[float]) -> float:
    """The largest finite number, or NaN.

    Parameters
    ----------
    values
        Some numbers.

    Returns
    -------
    float
        Of those that are finite.
    """
    return max((value for value in values if math.isfinite(value)), default=math.nan)
