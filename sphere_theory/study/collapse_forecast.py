"""Editing capacity: from the beginning of a stream, the edit count at which it collapses.

log T is linear in the logarithms of what was measured at the end of the window, the first tenth of the
stream: a log-normal failure time model (`failure_time`). It contains the count-only forecast as b = 0,
gives intervals, and uses runs that have not collapsed. Scored on runs whose editor, or whose seed, it has not
seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.arrays import as_real
from sphere_theory.errors import InputError
from sphere_theory.study.collapses import LEVEL, collapses
from sphere_theory.study.failure_time import FailureTime
from sphere_theory.study.run_table import STUDY
from sphere_theory.study.statistics import SAMPLES, Clusters, interval

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 0.1
CONFIDENCE = 0.9

# What is left out to score a forecast: every run of an editor, with and without SPHERE, or of a seed.
FOLDS = ("base", "seed")

# What each model sees.
MODELS: Mapping[str, tuple[str, ...]] = {
    "count": (),
    "norm": ("edit_norm",),
    "energy": ("energy_level",),
    "row_norm_growth": ("row_norm_growth",),
    "R": ("R_mean",),
    "rank_left": ("rank_left",),
    "metrics": ("lost",),
    # What |ΔHE| adds to the others is the difference between the last two.
    "others": ("row_norm_growth", "R_mean", "rank_left"),
    "energy_and_others": ("energy_level", "row_norm_growth", "R_mean", "rank_left"),
}
_RIVALS = ("count", "norm")

# What two runs of the same edits have in common.
_ONCE = ["base", "settings", "editor", "seed"]

# Of |ΔHE| over the uniform energy much less than of the others is something.
_LEAST = {"energy_level": 1e-6}

# The fewest other runs, of them collapsed after the window, that a forecast is fitted on.
_RUNS_NEEDED, _COLLAPSES_NEEDED = 4, 3


def openings(points: pd.DataFrame, *, level: float = LEVEL, window: float = WINDOW) -> pd.DataFrame:
    """What is known of each run at the end of its window, and what became of it.

    Parameters
    ----------
    points
        As `load_points` returns them.
    level
        Of the collapse.
    window
        Share of the planned edits that are seen.

    Returns
    -------
    pandas.DataFrame
        Columns of `collapses`, the predictors at the last point of the window (their logarithms; "lost" is 1
        less the smaller of efficacy and specificity), operator, and seen, the edits there. Runs without a
        point in the window are left out.

    Raises
    ------
    RangeError
        A level or a window outside (0, 1].
    """
    import pandas as pd

    as_real(window, "window", low=0, high=1, low_open=True)
    ends = collapses(points, level=level).set_index("run")
    inside = points[points["edits"] <= window * points["planned"]]
    last = inside.groupby("run", sort=False).tail(1).set_index("run")
    last = last.assign(lost=1 - last[["efficacy", "specificity"]].min(axis=1))
    names = sorted({name for model in MODELS.values() for name in model})
    # So little of each is as good as none of it, and keeps its logarithm.
    known = np.log(
        last[names].clip(lower=pd.Series({name: _LEAST.get(name, 1e-3) for name in names}), axis=1)
    )
    return ends.join(known, how="inner").assign(operator=last["operator"], seen=last["edits"]).reset_index()


def usable(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that a forecast can be fitted on or scored with: they learned, and collapsed after the window.

    Parameters
    ----------
    runs
        As `openings` returns them.

    Returns
    -------
    pandas.DataFrame
        Those that are left, a run that held or was stopped among them.
    """
    return runs[(runs["collapse"] > runs["seen"]) & (runs["last"] > runs["seen"])]


def forecast(known: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of every model.

    Parameters
    ----------
    known
        Runs to fit on, as `usable` returns them.
    asked
        Runs to forecast, as `openings` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a model and run: model, run, median, low, high (90%), in edits from the stream's beginning.

    Raises
    ------
    InputError
        Too few runs to fit on.
    """
    import pandas as pd

    reached = np.isfinite(known["collapse"].to_numpy(dtype=float))
    if len(known) < _RUNS_NEEDED or reached.sum() < _COLLAPSES_NEEDED:
        raise InputError(
            "runs",
            f"at least {_RUNS_NEEDED} other runs of the same host, batch and length, {_COLLAPSES_NEEDED} of "
            "them collapsed after the window",
            f"{len(known)}, of them {reached.sum()} collapsed",
        )
    times = np.where(reached, known["collapse"], known["last"]).astype(float)
    parts = []
    for name, columns in MODELS.items():
        fitted = FailureTime.fit(known[list(columns)].to_numpy(dtype=float), times, reached)
        given = asked[list(columns)].to_numpy(dtype=float)
        median, low, high = fitted.predict(given, confidence=CONFIDENCE)
        found = {"model": name, "run": asked["run"], "median": median, "low": low, "high": high}
        parts.append(pd.DataFrame(found))
    return pd.concat(parts, ignore_index=True)


def out_of_sample(runs: pd.DataFrame, *, by: str) -> pd.DataFrame:
    """Forecasts of each run by models that have not seen its editor, or its seed.

    Parameters
    ----------
    runs
        As `usable` returns them.
    by
        One of `FOLDS`.

    Returns
    -------
    pandas.DataFrame
        Columns of `forecast`, and base, operator, editor, seed, collapse, last, error = |log(forecast/T)|;
        for a run that held until its end only what the forecast is too early. Without folds that leave too
        few runs.
    """
    import pandas as pd

    parts = []
    for _, left_out in runs.groupby(by):
        rest = runs[~runs["run"].isin(left_out["run"])]
        try:
            parts.append(forecast(rest, left_out))
        except InputError:
            continue
    if not parts:
        return pd.DataFrame()
    facts = runs[["run", "base", "operator", "editor", "seed", "collapse", "last"]]
    found = pd.concat(parts, ignore_index=True).merge(facts, on="run")
    off = np.log(found["median"] / found["collapse"].where(np.isfinite(found["collapse"]), found["last"]))
    return found.assign(error=np.where(np.isfinite(found["collapse"]), off.abs(), (-off).clip(lower=0)))


def scores(found: pd.DataFrame, *, samples: int = SAMPLES, seed: int = 0) -> pd.DataFrame:
    """How far off each model is, and against its rivals.

    Parameters
    ----------
    found
        As `out_of_sample` returns it.
    samples, seed
        Resamples of runs, and their seed.

    Returns
    -------
    pandas.DataFrame
        One row a model: runs; factor, exp of the mean error (1.3: 1.3 times too early or too late), with low
        and high; covered, the share of collapses inside the 90% interval; and for each rival the ratio of
        factors, with its interval (against_count_factor, against_count_low, …): below 1 the model is closer.
    """
    import pandas as pd

    errors = found.pivot(index="run", columns="model", values="error").loc[found["run"].unique()]
    runs = Clusters.of(errors.index.to_numpy())
    often = np.stack(list(runs.weights(samples=samples, seed=seed)))
    collapsed = found[np.isfinite(found["collapse"])]
    inside = collapsed["collapse"].between(collapsed["low"], collapsed["high"])
    covered = inside.groupby(collapsed["model"]).mean()
    rows = []
    for model in MODELS:
        row: dict[str, Any] = {"model": model, "runs": len(errors), "covered": covered.get(model, np.nan)}
        row |= _factor("", errors[model], often)
        for rival in _RIVALS:
            row |= _factor(f"against_{rival}_", errors[model] - errors[rival], often)
        rows.append(row)
    return pd.DataFrame(rows)


def _factor(name: str, errors: pd.Series, often: np.ndarray) -> dict[str, float]:
    values = errors.to_numpy()
    low, high = interval(np.exp(often @ values / often.sum(axis=1)))
    return {f"{name}factor": float(np.exp(values.mean())), f"{name}low": low, f"{name}high": high}


def comparable(points: pd.DataFrame, run: str) -> pd.DataFrame:
    """Points of a run and of those that differ from it in editor, settings and seed alone.

    Parameters
    ----------
    points
        As `load_points` returns them.
    run
        Its full name.

    Returns
    -------
    pandas.DataFrame
        Those points.

    Raises
    ------
    InputError
        The run has no point with all measures.
    """
    own = points[points["run"] == run]
    if not len(own):
        raise InputError("run", "one with all measures at some point", f"{run}, which has none")
    same = (points[list(STUDY)] == own[list(STUDY)].iloc[0]).all(axis=1)
    # The same stream once more, measured otherwise, would give the answer away.
    again = (points[_ONCE] == own[_ONCE].iloc[0]).all(axis=1) & (points["run"] != run)
    return points[same & ~again]
