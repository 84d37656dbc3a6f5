"""How cost grows: exponents along every axis, models that count operations beyond measured sizes, streams."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.arrays import as_choice
from sphere_theory.errors import InputError
from sphere_theory.experiments.cost_counts import COUNTS, Size, Terms
from sphere_theory.study.statistics import SAMPLES, interval, mean_interval

if TYPE_CHECKING:
    import pandas as pd

AXES = ("n", "d", "batch", "shape")

# (n, d) of the layers that are extrapolated to, by the models' numbers of parameters.
SHAPES = {"70B": (8192, 28672), "405B": (16384, 53248)}

# Of a series, the points with the largest values show the power; smaller ones the cost of a call.
_TAIL = 3

# An operation's points whose time is at least this share of its longest are fitted, at least five of them:
# fewer than four say nothing of a point that is held out.
_LARGE, _FITTED, _FEWEST = 1 / 50, 5, 4

# Growth of memory that is told from the noise of small allocations.
RESOLUTION = 2**20

_POINT = ["operation", "decay", "n", "d", "batch"]


def cost_points(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each operation and size.

    Parameters
    ----------
    rows
        Of `Cost`, with its fields as columns.

    Returns
    -------
    DataFrame
        "seconds" and "peak_bytes" (medians), "seconds_low", "seconds_high", "peak_low", "peak_high" (smallest
        and largest), "rank", "repeats".

    Raises
    ------
    InputError
        No rows.
    """
    if rows.empty:
        raise InputError("rows", "rows of Cost tasks", "none")
    return rows.groupby(_POINT, as_index=False, sort=False).agg(
        seconds=("seconds", "median"),
        seconds_low=("seconds", "min"),
        seconds_high=("seconds", "max"),
        peak_bytes=("peak_bytes", "median"),
        peak_low=("peak_bytes", "min"),
        peak_high=("peak_bytes", "max"),
        rank=("rank", "first"),
        repeats=("repeat", "count"),
    )


def series(points: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Points of each operation that differ along one axis alone.

    Parameters
    ----------
    points
        As `cost_points` returns them.
    axis
        One of `AXES`; along "shape" n and d grow together, and the value is n.

    Returns
    -------
    DataFrame
        The longest such run of at least three points for each operation and decay, with "value" and "fixed",
        what stays the same in words; empty if there is none.

    Raises
    ------
    RangeError
        An unknown axis.
    """
    import pandas as pd

    as_choice(axis, "axis", AXES)
    table = points.assign(aspect=points["d"] / points["n"], value=points["n" if axis == "shape" else axis])
    same = {
        "n": ["d", "batch"],
        "d": ["n", "batch"],
        "batch": ["n", "d"],
        "shape": ["aspect", "batch"],
    }[axis]
    best: dict[tuple[Any, ...], pd.DataFrame] = {}
    for key, group in table.groupby(["operation", "decay", *same], sort=False):
        if len(group) >= 3 and len(group) > len(best.get(key[:2], ())):
            words = ", ".join(
                f"{name} = {value:g}" for name, value in zip(same, key[2:], strict=True) if name != "batch"
            )
            words = words.replace("aspect = ", "d/n = ")
            best[key[:2]] = group.sort_values("value").assign(fixed=words)
    return pd.concat(best.values(), ignore_index=True) if best else table.iloc[:0].assign(fixed="")


def exponents(rows: pd.DataFrame, *, samples: int = SAMPLES, seed: int = 0) -> pd.DataFrame:
    """Exponent p of time ∝ valueᵖ along every axis, beside that of the operations counted.

    Least squares on logarithms of the three largest points of a series. The interval comes from drawing one
    repetition for each point: it holds the noise of the timings, not the departure from a power.

    Parameters
    ----------
    rows
        Of `Cost`, with its fields as columns.
    samples
        Draws.
    seed
        Of the draws.

    Returns
    -------
    DataFrame
        One row for each axis, operation and decay: "exponent", "low", "high", "counted" (slope of the counted
        operations over the same points), "start" and "stop", the values between which it was fitted, "fixed".
    """
    import pandas as pd

    points, found = cost_points(rows), []
    for axis in AXES:
        for (operation, decay), whole in series(points, axis).groupby(["operation", "decay"], sort=False):
            own = whole.tail(_TAIL)
            drawn = _repetitions(rows, own, "seconds", samples, seed)
            low, high = interval(_slopes(own["value"], drawn))
            found.append({
                "axis": axis,
                "operation": operation,
                "decay": decay,
                "exponent": float(_slopes(own["value"], own["seconds"])),
                "low": low,
                "high": high,
                "counted": float(_slopes(own["value"], _operations(own))),
                "start": int(own["value"].iloc[0]),
                "stop": int(own["value"].iloc[-1]),
                "fixed": own["fixed"].iloc[0],
            })
    return pd.DataFrame(found)


def _size(point: Mapping[str, Any]) -> Size:
    return Size(*(int(point[field.name]) for field in fields(Size)))


def _terms(point: Mapping[str, Any]) -> Terms:
    return COUNTS[str(point["operation"])].terms(_size(point))


def _operations(points: pd.DataFrame) -> list[float]:
    return [_terms(point).operations for point in points.to_dict("records")]


def _slopes(values: Any, costs: Any) -> np.ndarray:
    """Least-squares slopes of logarithms; costs (…, points)."""
    x, y = np.log(np.asarray(values, float)), np.log(np.asarray(costs, float))
    x = x - x.mean()
    return np.asarray(y @ x / (x @ x))


def _repetitions(
    rows: pd.DataFrame, points: pd.DataFrame, column: str, samples: int, seed: int
) -> np.ndarray:
    """(samples, points): at each point one of its repetitions."""
    generator = np.random.default_rng(seed)
    groups = rows.groupby(_POINT)[column]
    each = [groups.get_group(key).to_numpy() for key in points[_POINT].itertuples(index=False, name=None)]
    return np.stack([values[generator.integers(len(values), size=samples)] for values in each], axis=1)


def predictions(
    rows: pd.DataFrame,
    shapes: Mapping[str, tuple[int, int]] = SHAPES,
    *,
    batch: int = 100,
    samples: int = SAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Time and memory at shapes that were not measured, from models fitted to the largest that were.

    Time is a·flops + b·other with a, b ≥ 0 (see `Terms`), memory a + b·held_bytes, both by least squares of
    relative errors. Fitted are points of at least 1/50 of the operation's longest time, and at least the
    five longest. Ranks are extrapolated by a power of n through those along the axis "shape". Intervals:
    points drawn with replacement, and a repetition of each; they do not know what happens beyond the
    measured sizes, as when a matrix no longer fits into a cache or into memory.

    Parameters
    ----------
    rows
        Of `Cost`, with its fields as columns.
    shapes
        (n, d) by name.
    batch
        Edits a batch.
    samples
        Draws.
    seed
        Of the draws.

    Returns
    -------
    DataFrame
        One row for each operation, decay and shape: "seconds", "seconds_low", "seconds_high", "peak_bytes",
        "peak_low", "peak_high", "rank", "points" fitted, "times_larger" (operations over those of the largest
        measured point), and "held_out", "held_out_peak": what models fitted without the largest point predict
        for it, over what was measured there; NaN where fewer than four points remain.
    """
    import pandas as pd

    points, found = cost_points(rows), []
    along = series(points, "shape")
    for (operation, decay), own in points.groupby(["operation", "decay"], sort=False):
        fitted = _largest(own)
        ranks = along[(along["operation"] == operation) & (along["decay"] == decay)]
        time, memory = (_Fit(rows, fitted, column, samples, seed) for column in ("seconds", "peak_bytes"))
        for shape, (n, d) in shapes.items():
            rank = _extrapolated_rank(ranks, n) if own["rank"].any() else 0
            point = {"operation": operation, "n": n, "d": d, "batch": batch, "rank": rank}
            seconds, peak = time.at(point), memory.at(point)
            found.append({
                "operation": operation,
                "decay": decay,
                "shape": shape,
                "n": n,
                "d": d,
                "rank": rank,
                **dict(zip(("seconds", "seconds_low", "seconds_high"), seconds, strict=True)),
                **dict(zip(("peak_bytes", "peak_low", "peak_high"), peak, strict=True)),
                "points": len(fitted),
                "times_larger": _terms(point).operations / max(_operations(fitted)),
                "held_out": time.held_out(),
                "held_out_peak": memory.held_out(),
            })
    return pd.DataFrame(found)


def _largest(points: pd.DataFrame) -> pd.DataFrame:
    ordered = points.sort_values("seconds", ascending=False)
    enough = int((ordered["seconds"] >= _LARGE * ordered["seconds"].iloc[0]).sum())
    return ordered.head(max(enough, _FITTED))


def _extrapolated_rank(points: pd.DataFrame, n: int) -> int:
    """A power of n through measured ranks; all of n if there is no series of them."""
    if points.empty:
        return n
    x, y = np.log(points["n"].to_numpy(float)), np.log(points["rank"].to_numpy(float))
    return min(n, round(float(np.exp(np.polynomial.Polynomial.fit(x, y, 1)(math.log(n))))))


class _Fit:
    """Two prices, each at least 0, and those of resampled points."""

    def __init__(
        self, rows: pd.DataFrame, points: pd.DataFrame, column: str, samples: int, seed: int
    ) -> None:
        self._column = column
        self._features = np.array([self._feature(point) for point in points.to_dict("records")])
        self._costs = self._floored(points[column].to_numpy(float))
        self._prices = _prices(self._features, self._costs)
        generator = np.random.default_rng(seed)
        drawn = self._floored(_repetitions(rows, points, column, samples, seed))
        self._resampled = np.stack([
            _prices(self._features[chosen], costs[chosen])
            for costs, chosen in zip(
                drawn, generator.integers(len(points), size=(samples, len(points))), strict=True
            )
        ])

    def _feature(self, point: Mapping[str, Any]) -> tuple[float, float]:
        if self._column == "seconds":
            terms = _terms(point)
            return terms.flops, terms.other
        return 1.0, COUNTS[str(point["operation"])].held_bytes(_size(point))

    def _floored(self, costs: np.ndarray) -> np.ndarray:
        return costs if self._column == "seconds" else np.maximum(costs, RESOLUTION)

    def at(self, point: Mapping[str, Any]) -> tuple[float, float, float]:
        feature = np.array(self._feature(point))
        return float(feature @ self._prices), *interval(self._resampled @ feature)

    def held_out(self) -> float:
        """Predicted over measured at the largest point, by the others alone."""
        largest = int(np.argmax(self._costs))
        rest = np.arange(len(self._costs)) != largest
        if rest.sum() < _FEWEST or not np.isfinite(self._costs).all():
            return math.nan
        prices = _prices(self._features[rest], self._costs[rest])
        return float(self._features[largest] @ prices / self._costs[largest])


def _prices(features: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Least squares of relative errors, no price negative; NaN where a cost is not known."""
    from scipy.optimize import nnls

    if not np.isfinite(costs).all():
        return np.full(features.shape[1], np.nan)
    scale = features.max(axis=0)
    scale[scale == 0] = 1.0
    prices, _ = nnls(features / scale / costs[:, None], np.ones(len(costs)))
    return prices / scale


def constancy(rows: pd.DataFrame) -> pd.DataFrame:
    """Whether a step late in a stream takes longer than an early one.

    Parameters
    ----------
    rows
        Of `StreamCost`, with its fields as columns.

    Returns
    -------
    DataFrame
        One row for each operation: "ratio", the mean time of a step in the last third over that in the middle
        third, with Student's interval "low", "high" over seeds; "state_ratio", the same of the largest memory
        that steps leave; "seeds", "steps", "n", "d", "batch". The first third, in which a process warms
        up, is left out.
    """
    import pandas as pd

    found = []
    for operation, own in rows.groupby("operation", sort=False):
        ratios, states = [], []
        for _, run in own.groupby("seed"):
            third, ordered = len(run) // 3, run.sort_values("step")
            late, middle = ordered.tail(third), ordered.iloc[third : 2 * third]
            ratios.append(late["seconds"].mean() / middle["seconds"].mean())
            states.append(late["state_bytes"].max() / middle["state_bytes"].max())
        ratio, low, high = mean_interval(np.array(ratios))
        found.append({
            "operation": operation,
            "ratio": ratio,
            "low": low,
            "high": high,
            "state_ratio": float(np.mean(states)),
            "seeds": len(ratios),
            "steps": int(own["step"].max()),
            **{name: int(own[name].iloc[0]) for name in ("n", "d", "batch")},
        })
    return pd.DataFrame(found)


def tenths(rows: pd.DataFrame) -> pd.DataFrame:
    """Time of a step in each tenth of a stream.

    Parameters
    ----------
    rows
        Of `StreamCost`, with its fields as columns.

    Returns
    -------
    DataFrame
        One row for each operation and tenth of its steps: "edits" and "seconds", means over steps and seeds.
    """
    import pandas as pd

    found = []
    for operation, own in rows.groupby("operation", sort=False):
        size = max(1, int(own["step"].max()) // 10)
        means = own.groupby((own["step"] - 1) // size)[["edits", "seconds"]].mean()
        found.append(means.assign(operation=operation))
    return pd.concat(found, ignore_index=True)
