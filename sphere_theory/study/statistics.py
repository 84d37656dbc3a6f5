"""Statistics that any question uses: means with intervals, and ranks under resampling of whole runs.

Points of one run are no independent evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# Of every interval that is not said to be another.
CONFIDENCE = 0.95
SAMPLES = 1000

Vector = np.ndarray


@dataclass(frozen=True, eq=False)
class Clusters:
    """Points in clusters, resampled cluster by cluster.

    Attributes
    ----------
    codes
        Of which cluster each point is, 0 … count − 1.
    count
        Number of clusters.
    """

    codes: Vector
    count: int

    @classmethod
    def of(cls, labels: Vector) -> Clusters:
        """Clusters of points with equal labels.

        Parameters
        ----------
        labels
            One for each point.

        Returns
        -------
        Clusters
            Numbered as they first appear: what is drawn does not depend on how they are called.
        """
        _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
        return cls(first.argsort().argsort()[codes], len(first))

    def weights(self, *, samples: int, seed: int) -> Iterator[Vector]:
        """How often each point occurs in each resample.

        Parameters
        ----------
        samples
            How many resamples.
        seed
            Of the draws.

        Yields
        ------
        ndarray
            Whole numbers, one for each point.
        """
        generator = np.random.default_rng(seed)
        for _ in range(samples):
            drawn = np.bincount(generator.integers(self.count, size=self.count), minlength=self.count)
            yield drawn[self.codes]


def dense_codes(columns: np.ndarray) -> np.ndarray:
    """The place of each value among its column's different values.

    Parameters
    ----------
    columns
        (points, columns), no NaN.

    Returns
    -------
    ndarray
        Whole numbers of the same shape.
    """
    return np.stack([np.unique(column, return_inverse=True)[1] for column in columns.T], axis=1)


def weighted_ranks(codes: Vector, weights: Vector) -> Vector:
    """Average ranks in a sample in which each point occurs as often as its weight says.

    Parameters
    ----------
    codes
        A column of `dense_codes`.
    weights
        Whole numbers.

    Returns
    -------
    ndarray
        As of `scipy.stats.rankdata` on the repeated points.
    """
    counts = np.bincount(codes, weights)
    return (np.cumsum(counts) - counts + (counts + 1) / 2)[codes]


def interval(values: Vector, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Percentile interval of resampled values, those that are not defined left out.

    Parameters
    ----------
    values
        One for each resample.
    confidence
        Share inside.

    Returns
    -------
    low, high
        NaN if fewer than half of the values are defined.
    """
    known = values[np.isfinite(values)]
    if 2 * len(known) < len(values):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resampled(
    statistic: Callable[[Vector], np.ndarray], clusters: Clusters, *, samples: int, seed: int
) -> np.ndarray:
    """A statistic on every resample.

    Parameters
    ----------
    statistic
        Of the weights of the points.
    clusters
        What is resampled.
    samples, seed
        As in `Clusters.weights`.

    Returns
    -------
    ndarray
        (samples, …).
    """
    return np.stack([statistic(weights) for weights in clusters.weights(samples=samples, seed=seed)])


def area_under_curve(codes: Vector, event: Vector, weights: Vector) -> float:
    """Probability that a predictor is larger at a point with the event than at one without; ties half.

    Parameters
    ----------
    codes
        A column of `dense_codes`.
    event
        Whether, for each point.
    weights
        How often each point occurs.

    Returns
    -------
    float
        NaN unless both kinds of point occur.
    """
    with_event = float(weights[event].sum())
    without = float(weights.sum()) - with_event
    if not with_event or not without:
        return np.nan
    ranks = weighted_ranks(codes, weights)
    total = float((ranks * weights)[event].sum())
    return (total - with_event * (with_event + 1) / 2) / (with_event * without)


def mean_interval(values: Vector, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Mean of independent values, one for each seed, with Student's interval.

    Parameters
    ----------
    values
        No NaN.
    confidence
        Of the interval.

    Returns
    -------
    mean, low, high
        low and high NaN for a single value.
    """
    from scipy.stats import t

    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, np.nan, np.nan
    reach = float(t.ppf((1 + confidence) / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return mean, mean - reach, mean + reach


def means_along(points: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns along streams: means over seeds.

    Parameters
    ----------
    points
        Of comparable runs, as `load_points` returns them.
    columns
        Which.

    Returns
    -------
    pandas.DataFrame
        One row an editor (with its settings), edit count and column: base, settings, editor, operator,
        variant, edits, column, seeds, mean with low and high (95%, Student's).

    Raises
    ------
    InputError
        A column that the points do not have.
    """
    import pandas as pd

    for column in columns:
        if column not in points:
            raise InputError("points", f"a column {column}", f"columns {', '.join(map(str, points.columns))}")
    rows = []
    for (base, settings, editor), runs in points.groupby(["base", "settings", "editor"], sort=False):
        known = {"base": base, "settings": settings, "editor": editor}
        known |= dict(runs[["operator", "variant"]].iloc[0])
        for edits, own in runs.groupby("edits"):
            for column in columns:
                found = _mean(own[column])
                rows.append(known | {"edits": edits, "column": column, "seeds": len(own)} | found)
    return pd.DataFrame(rows)


def _mean(values: pd.Series) -> dict[str, float]:
    return dict(zip(("mean", "low", "high"), mean_interval(values.to_numpy()), strict=True))
