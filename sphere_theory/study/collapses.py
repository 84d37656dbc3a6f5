"""Where each run collapses, and which of its points are near."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.arrays import as_count, as_real
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.run_table import STUDY

if TYPE_CHECKING:
    import pandas as pd

# A stream has collapsed when one of these is below the level: generalisation follows efficacy.
_COLLAPSING = ("efficacy", "specificity")
LEVEL = 0.5

# How many edits before the collapse is near.
HORIZON = 200


def collapses(points: pd.DataFrame, *, level: float = LEVEL) -> pd.DataFrame:
    """Where each run collapses: efficacy or specificity first below a level that it had reached.

    Between two points the metric is taken to be a straight line. A run whose weights are lost has collapsed
    there at the latest. One whose efficacy never reaches the level has learned too little to lose it.

    Parameters
    ----------
    points
        As `load_points` returns them.
    level
        In (0, 1].

    Returns
    -------
    pandas.DataFrame
        One row a run: run, host, base, editor, seed, batch_size, planned; collapse, edits, ∞ if it held, NaN
        if it never learned; by: "efficacy", "specificity", "weights", "held" or "never learned"; last, the
        edits of the last point.

    Raises
    ------
    RangeError
        A level outside (0, 1].
    """
    import pandas as pd

    as_real(level, "level", low=0, high=1, low_open=True)
    keep = ["run", *STUDY, "base", "settings", "editor", "seed"]
    rows = []
    for _, run in points.groupby("run", sort=False):
        collapse, by = _collapse(run, level)
        last = float(run["edits"].iloc[-1])
        rows.append(dict(run[keep].iloc[0]) | {"collapse": collapse, "by": by, "last": last})
    return pd.DataFrame(rows)


def _collapse(run: pd.DataFrame, level: float) -> tuple[float, str]:
    if run["efficacy"].max() < level:
        return math.nan, "never learned"
    found = [(_falls(run, metric, level), metric) for metric in _COLLAPSING]
    if math.isfinite(lost := float(run["lost_at"].iloc[0])):
        found.append((lost, "weights"))
    first, by = min(found)
    return (first, by) if math.isfinite(first) else (math.inf, "held")


def _falls(run: pd.DataFrame, metric: str, level: float) -> float:
    """Edits at which a metric first falls below a level after it was there; ∞ if it does not."""
    edits, values = run["edits"].tolist(), run[metric].tolist()
    pairs = zip(edits, values, edits[1:], values[1:], strict=False)
    for start, before, stop, after in pairs:
        if before >= level > after:
            return float(start + (stop - start) * (before - level) / (before - after))
    # Specificity starts at 1, before the first point.
    return float(edits[0]) if metric == "specificity" and values[0] < level else math.inf


def approaches(points: pd.DataFrame, *, level: float = LEVEL, horizon: int = HORIZON) -> pd.DataFrame:
    """Points before the collapse of runs that learned, each near or far.

    Parameters
    ----------
    points
        Of comparable runs, as `load_points` returns them.
    level
        Of the collapse.
    horizon
        How many edits away is near.

    Returns
    -------
    pandas.DataFrame
        With collapse, near, and lost = 1 − min(efficacy, specificity). Of runs that held, the last
        points, of which nobody knows, are left out.
    """
    as_count(horizon, "horizon", low=1)
    ends = collapses(points, level=level).set_index("run")
    held = np.isinf(ends["collapse"])
    until = ends["collapse"].where(~held, ends["last"] - horizon)
    found = points.dropna(subset=list(PREDICTORS))
    collapse, last = found["run"].map(ends["collapse"]), found["run"].map(until)
    lost = 1 - found[["efficacy", "specificity"]].min(axis=1)
    found = found.assign(collapse=collapse, near=collapse - found["edits"] <= horizon, lost=lost)
    return found[found["edits"] < last]
