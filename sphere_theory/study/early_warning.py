"""Which predictor warns of a collapse: how surely, how early, how often for nothing.

At every point before the collapse a run is either near it or far (`approaches`). A predictor is judged by the
area under its curve, the probability that it is larger at a near point than at a far one, over points of all
runs; and as an alarm: it goes off at the first point where the predictor passes a threshold, set on other
runs so that a stated share of their far points pass it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.arrays import as_real
from sphere_theory.errors import InputError
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.statistics import (
    SAMPLES,
    Clusters,
    Vector,
    area_under_curve,
    dense_codes,
    interval,
    resampled,
)

if TYPE_CHECKING:
    import pandas as pd

FALSE_ALARMS = 0.1

# Beside the predictors: how long the stream has run, and the metrics themselves, which any of them must beat
# to be worth measuring.
SIGNALS = (*PREDICTORS, "edits", "lost")


def alarms(rows: pd.DataFrame, *, by: str, false_alarms: float = FALSE_ALARMS) -> pd.DataFrame:
    """When each signal's alarm goes off in runs whose editor, or seed, its threshold has not seen.

    Parameters
    ----------
    rows
        As `approaches` returns them.
    by
        "base" or "seed".
    false_alarms
        Share of the far points of other runs that pass the threshold.

    Returns
    -------
    pandas.DataFrame
        One row a signal and run: threshold, alarm (edits; NaN if there was none before the collapse),
        collapse, lead = collapse − alarm, early: the share of its far points that pass.

    Raises
    ------
    InputError
        No two values of `by` among the runs.
    """
    import pandas as pd

    as_real(false_alarms, "false_alarms", low=0, high=1)
    if rows[by].nunique() < 2:
        raise InputError("runs", f"runs of at least two values of {by}", f"{rows[by].nunique()}")
    found = []
    for fold, left_out in rows.groupby(by):
        far = rows[(rows[by] != fold) & ~rows["near"]]
        for signal in SIGNALS:
            threshold = float(far[signal].quantile(1 - false_alarms))
            for _, run in left_out.groupby("run", sort=False):
                found.append({"signal": signal, "threshold": threshold} | _alarm(run, signal, threshold))
    return pd.DataFrame(found)


def _alarm(run: pd.DataFrame, signal: str, threshold: float) -> dict[str, Any]:
    passed = run[signal] > threshold
    collapse, far = float(run["collapse"].iloc[0]), ~run["near"]
    alarm = float(run["edits"][passed].min())
    return {
        **dict(run[["run", "base", "editor", "seed"]].iloc[0]),
        "alarm": alarm,
        "collapse": collapse,
        "lead": collapse - alarm if np.isfinite(collapse) else np.nan,
        "early": float(passed[far].mean()) if far.any() else np.nan,
    }


def verdicts(
    rows: pd.DataFrame, found: pd.DataFrame, *, samples: int = SAMPLES, seed: int = 0
) -> pd.DataFrame:
    """How good a warning each signal is.

    Parameters
    ----------
    rows
        As `approaches` returns them.
    found
        As `alarms` returns them.
    samples, seed
        Resamples of runs, and their seed.

    Returns
    -------
    pandas.DataFrame
        One row a signal: runs; area with low and high; beyond, how much larger it is than that of |ΔHE|, with
        beyond_low and beyond_high; warned and warnings, the share and number of collapses with an alarm
        before; lead, the median of those, edits; early, the mean share of far points with an alarm.
    """
    import pandas as pd

    codes, near = dense_codes(rows[list(SIGNALS)].to_numpy(dtype=float)), rows["near"].to_numpy()

    def areas(weights: Vector) -> np.ndarray:
        return np.array([area_under_curve(column, near, weights) for column in codes.T])

    clusters = Clusters.of(rows["run"].to_numpy())
    values = areas(np.ones(len(rows), dtype=int))
    spread = resampled(areas, clusters, samples=samples, seed=seed)
    energy, table = SIGNALS.index("energy_level"), []
    for k, signal in enumerate(SIGNALS):
        low, high = interval(spread[:, k])
        beyond_low, beyond_high = interval(spread[:, k] - spread[:, energy])
        own = found[found["signal"] == signal]
        collapsed = own[np.isfinite(own["collapse"])]
        table.append({
            "signal": signal,
            "runs": clusters.count,
            "area": float(values[k]),
            "low": low,
            "high": high,
            "beyond": float(values[k] - values[energy]),
            "beyond_low": beyond_low,
            "beyond_high": beyond_high,
            "warned": float(collapsed["lead"].notna().mean()),
            "warnings": int(collapsed["lead"].notna().sum()),
            "lead": float(collapsed["lead"].median()),
            "early": float(own["early"].mean()),
        })
    return pd.DataFrame(table)
