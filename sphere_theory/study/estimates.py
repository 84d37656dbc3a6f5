"""What the study estimated of the paper's claims, as numbers that findings and ledger share.

`sphere-theory findings` computes them from a store, prints them and writes them as JSON; the JSON of the
committed study is part of the package, and the ledger's text is made of it. One number, one source.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sphere_theory.errors import InputError
from sphere_theory.study.markdown import span

_COMMITTED = Path(__file__).with_name("estimates.json")

# The two predictors that claim and verdict are about.
ENERGY, SIZE = "energy_level", "edit_norm"

# Digits that are kept: more than any text shows, few enough to read.
_DIGITS = 6

Lines = Iterator[str]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval; NaN where there is none.

    Attributes
    ----------
    value, low, high
        The number and the ends of its interval.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, row: Any, column: str) -> Estimate:
        """A column of a row that has low and high beside it, in the digits that are kept."""
        return cls(*(rounded(row[name]) for name in (column, "low", "high")))

    @property
    def known(self) -> bool:
        """Whether it is defined and has an interval."""
        return math.isfinite(self.value) and math.isfinite(self.low) and math.isfinite(self.high)

    def __str__(self) -> str:
        return span((self.value, self.low, self.high))

    def meets(self, other: Estimate) -> bool:
        """Whether the two intervals overlap."""
        return self.low <= other.high and other.low <= self.high


def rounded(value: float) -> float:
    """A number in the digits that are kept, so that JSON and text are made of the same one."""
    return round(float(value), _DIGITS)


NONE = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Signal:
    """How one predictor goes with efficacy, and how it warns of a collapse.

    Attributes
    ----------
    name, label
        Of the predictor, as a key and in words.
    correlation
        Spearman's ρ with efficacy over points before collapse, of all runs.
    given_edits
        The same, partial given the edit count.
    area
        Under the curve: the probability that it is larger at a point near the collapse than at a far one.
    warned, lead, early
        Share of collapses with an alarm before, median edits before, share of far points with an alarm.
    """

    name: str
    label: str
    correlation: Estimate
    given_edits: Estimate
    area: Estimate
    warned: float
    lead: float
    early: float


@dataclass(frozen=True)
class HostEstimates:
    """What the runs of one host say of claim 1.

    Attributes
    ----------
    host
        Layer and keys.
    runs, seeds, edits
        How many, and the longest run.
    signals
        One for each predictor.
    better, worse
        Labels of signals that warn better or worse than |ΔHE|, by the interval of the difference.
    """

    host: str
    runs: int
    seeds: int
    edits: int
    signals: tuple[Signal, ...]
    better: tuple[str, ...]
    worse: tuple[str, ...]

    def signal(self, name: str) -> Signal:
        """One predictor's numbers."""
        return next(one for one in self.signals if one.name == name)


# What an audit may come to.
VERDICTS = ("holds", "violated", "undecided", "not applicable")


@dataclass(frozen=True)
class Audited:
    """Verdicts of Theorem 1 along streams.

    Attributes
    ----------
    points, streams
        How many were audited.
    counts
        Of "step" and "total", by constant, by one of `VERDICTS`.
    """

    points: int
    streams: int
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]


@dataclass(frozen=True)
class Estimates:
    """Everything of the study that the ledger quotes.

    Attributes
    ----------
    hosts
        One for each host with enough runs, real layers first.
    audited
        None where no stream was audited.
    """

    hosts: tuple[HostEstimates, ...]
    audited: Audited | None = None

    def json(self) -> str:
        """As text, a host a line, with null for numbers that there are none of."""
        hosts = ",\n".join(_dumped(asdict(one)) for one in self.hosts)
        audited = _dumped(None if self.audited is None else asdict(self.audited))
        return f'{{"hosts": [\n{hosts}\n],\n"audited": {audited}}}\n'


def read_estimates(text: str) -> Estimates:
    """Estimates from their JSON.

    Parameters
    ----------
    text
        As `Estimates.json` writes it.

    Returns
    -------
    Estimates
        The same numbers.

    Raises
    ------
    InputError
        Not such a text.
    """
    try:
        found = json.loads(text)
        hosts = tuple(_host(one) for one in found["hosts"])
        audited = Audited(**found["audited"]) if found["audited"] else None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("text", "estimates as `sphere-theory findings` writes them", str(error)) from error
    return Estimates(hosts, audited)


@cache
def committed_estimates() -> Estimates:
    """Those of the study whose findings are committed.

    Returns
    -------
    Estimates
        Read from the package once.
    """
    return read_estimates(_COMMITTED.read_text(encoding="utf-8"))


def _dumped(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """A copy with lists for tuples and None for NaN."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _host(found: Mapping[str, Any]) -> HostEstimates:
    signals = tuple(_signal(one) for one in found["signals"])
    better, worse = (tuple(found[name]) for name in ("better", "worse"))
    return HostEstimates(found["host"], found["runs"], found["seeds"], found["edits"], signals, better, worse)


def _signal(found: Mapping[str, Any]) -> Signal:
    correlation, given, area = (_estimate(found[key]) for key in ("correlation", "given_edits", "area"))
    warned, lead, early = (_number(found[key]) for key in ("warned", "lead", "early"))
    return Signal(found["name"], found["label"], correlation, given, area, warned, lead, early)


def _estimate(found: Mapping[str, float | None]) -> Estimate:
    return Estimate(*(_number(found[key]) for key in ("value", "low", "high")))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
