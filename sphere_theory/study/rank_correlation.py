"""Spearman's correlation of each predictor with each metric, over the points of many runs.

Of three kinds:

- "within": of each run by itself, averaged over runs. Along one stream nearly everything grows, so that this
  is near ±1 for anything that does.
- "pooled": over the points of all runs at once, which asks for the same scale in every run.
- "given_edits": pooled, the partial correlation given the edit count, (r_xy − r_xz r_yz) over
  √((1 − r_xz²)(1 − r_yz²)) of ranks: what the predictor knows beyond how long the stream has run.

Intervals come from resampling whole runs (or editors, or seeds).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.arrays import as_choice, as_count
from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.study.collapses import LEVEL, collapses
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.statistics import (
    SAMPLES,
    Clusters,
    Vector,
    dense_codes,
    interval,
    resampled,
    weighted_ranks,
)

if TYPE_CHECKING:
    import pandas as pd

PHASES = ("before_collapse", "overall")
KINDS = ("within", "pooled", "given_edits")
_CLUSTERS = ("run", "base", "seed")

# A correlation closer to ±1 leaves nothing that could be partial.
_EXACT = 1e-9


def correlations(
    points: pd.DataFrame, *, level: float = LEVEL, cluster: str = "run", samples: int = SAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Correlations of every predictor with every metric, with intervals.

    Parameters
    ----------
    points
        Of comparable runs, as `load_points` returns them.
    level
        Of the collapse, see `collapses`.
    cluster
        What is resampled: "run", "base" (every run of an editor, with and without SPHERE) or "seed".
    samples, seed
        Resamples and their seed.

    Returns
    -------
    pandas.DataFrame
        One row for each phase, metric, predictor and kind: value, low, high, runs, points, clusters. NaN
        where it is not defined: a metric that never moves, or a predictor that the edit count determines.

    Raises
    ------
    InputError
        Fewer than two runs, an unknown cluster, a number outside its range.
    """
    import pandas as pd

    as_choice(cluster, "cluster", _CLUSTERS)
    as_count(samples, "samples", low=1)
    if points["run"].nunique() < 2:
        raise InputError("points", "points of at least two runs", f"{points['run'].nunique()}")
    points = points.dropna(subset=[*PREDICTORS, *METRICS])
    ends = collapses(points, level=level).set_index("run")["collapse"]
    early = points[points["edits"] < points["run"].map(ends)]
    rows = []
    for phase, chosen in zip(PHASES, (early, points), strict=True):
        if chosen["run"].nunique() >= 2:
            rows += [{"phase": phase, **row} for row in _phase(chosen, cluster, samples, seed)]
    return pd.DataFrame(rows)


def _phase(points: pd.DataFrame, cluster: str, samples: int, seed: int) -> list[dict[str, object]]:
    columns = [*PREDICTORS, *METRICS, "edits"]
    codes = dense_codes(points[columns].to_numpy(dtype=float))
    clusters = Clusters.of(points[cluster].to_numpy())
    runs = Clusters.of(points["run"].to_numpy())
    alone = np.stack([_plain(codes[runs.codes == run]) for run in range(runs.count)])
    owner = np.array([clusters.codes[runs.codes == run][0] for run in range(runs.count)])

    def statistic(weights: Vector) -> np.ndarray:
        often = np.array([weights[runs.codes == run][0] for run in range(runs.count)])
        pooled, partial = _both(codes, weights)
        return np.stack([_mean(alone, often), pooled, partial])

    values = statistic(np.ones(len(points), dtype=int))
    spread = resampled(statistic, clusters, samples=samples, seed=seed)
    size = {"runs": runs.count, "points": len(points), "clusters": len(np.unique(owner))}
    rows: list[dict[str, object]] = []
    for k, kind in enumerate(KINDS):
        for j, metric in enumerate(METRICS):
            for i, predictor in enumerate(PREDICTORS):
                low, high = interval(spread[:, k, i, j])
                found = {"value": float(values[k, i, j]), "low": low, "high": high}
                rows.append({"metric": metric, "predictor": predictor, "kind": kind, **found, **size})
    return rows


def _plain(codes: np.ndarray) -> np.ndarray:
    return _both(dense_codes(codes), np.ones(len(codes), dtype=int))[0]


def _both(codes: np.ndarray, weights: Vector) -> tuple[np.ndarray, np.ndarray]:
    """Spearman of predictors × metrics, plain and given the last column."""
    ranks = np.stack([weighted_ranks(column, weights) for column in codes.T])
    centred = ranks - (ranks @ weights / weights.sum())[:, None]
    products = (centred * weights) @ centred.T
    spread = np.sqrt(np.diag(products))
    p = len(PREDICTORS)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = products / np.outer(spread, spread)
        r_xy, r_xz, r_yz = r[:p, p:-1], r[:p, -1:], r[p:-1, -1]
        left = (1 - r_xz**2) * (1 - r_yz**2)
        partial = np.where(left > _EXACT, (r_xy - r_xz * r_yz) / np.sqrt(left), np.nan)
    return r_xy, partial


def _mean(alone: np.ndarray, often: Vector) -> np.ndarray:
    """Mean over the runs for which it is defined."""
    shares = np.isfinite(alone) * often[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.nan_to_num(alone) * shares).sum(axis=0) / shares.sum(axis=0)
