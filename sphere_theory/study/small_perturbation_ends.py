"""Where small perturbations end: along each stream, as a function of its step size and its edit count.

Theorem 1 is argued for a small ΔW. The bound that replaces it (ledger B8) holds for every edit, but a stream
leaves the range of the paper's argument in stages: the sign of ΔHE is no longer certified by its second
order (B9); neurons may have met on the way from W0 (B5); the first-order change of the energy, which the
proof rests on, is off by more than 10%; the edits themselves are no longer there. Step sizes differ as the
editors' own λ does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.errors import InputError
from sphere_theory.experiments.regimes import TAYLOR_TOLERANCE
from sphere_theory.study.collapses import LEVEL
from sphere_theory.study.statistics import Clusters, interval, mean_interval

if TYPE_CHECKING:
    import pandas as pd

# What ends, and how figures call it.
CRITERIA: Mapping[str, str] = {
    "sign": "sign of ΔHE certified, the whole way",
    "apart": "no two neurons can have met",
    "taylor": f"first order right to {TAYLOR_TOLERANCE:.0%}",
    "efficacy": f"efficacy at {LEVEL:g} or above",
}

# A criterion ended within the stream, lasted to its end, or was never met by edits that learned too little.
ENDED, HELD, NEVER = "ended", "held", "never"

# Runs that agree in these differ in the seed alone.
SETTING = ("base", "operator", "editor", "settings", "planned")

_NEEDED = ("total_sign", "total_smallest_gap", "total_first_order_error", "efficacy", "step_norm")

# Fewer runs, fewer of them that ended between two points, or steps of those within this factor of each other
# say nothing of a power of the step: where a larger step always fails at once and a smaller one always holds,
# any power will do.
_RUNS, _WITHIN, _SPAN = 6, 3, 2.0

# Nor do two step sizes: every pair lies on some power. Some step is further than this share of the
# logarithmic range from both of its ends.
_INSIDE = 0.1

# A fit for each takes its time.
RESAMPLES = 200


def ends_of_smallness(points: pd.DataFrame) -> pd.DataFrame:
    """The first edit count at which each criterion no longer holds, run by run.

    A run whose weights are lost has no criterion left there.

    Parameters
    ----------
    points
        Of runs with audits, as `load_points` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a run and criterion: run, columns of `SETTING`, seed, strength (λ or L2); step, the median of
        ‖ΔW_t‖_F/‖W0‖_F over the run's points; criterion, of `CRITERIA`; outcome, "ended", "held" or "never"
        (efficacy alone); edits, the first point where it does not hold, the last point if it held, NaN if
        never; after, the last point before that where it does, 0 if there is none.

    Raises
    ------
    InputError
        Points without audits.
    """
    import pandas as pd

    missing = [name for name in _NEEDED if name not in points or points[name].isna().all()]
    if not len(points) or missing:
        raise InputError("points", "points with audits", f"none with {', '.join(missing)}")
    rows = []
    for _, run in points.groupby("run", sort=False):
        first = run.iloc[0]
        known: dict[str, Any] = {name: first[name] for name in ("run", *SETTING, "seed", "strength")}
        known["step"] = float(run["step_norm"].median())
        rows += [known | {"criterion": name} | _end(run, name) for name in CRITERIA]
    return pd.DataFrame(rows)


def _end(run: pd.DataFrame, criterion: str) -> dict[str, Any]:
    edits, good = run["edits"].to_numpy(), _good(run, criterion)
    begin = 0
    if criterion == "efficacy":
        if not good.any():
            return {"outcome": NEVER, "edits": math.nan, "after": math.nan}
        begin = int(good.argmax())  # it has to be there before it can be lost
    bad = np.flatnonzero(~good[begin:]) + begin
    if len(bad):
        at = int(bad[0])
        return {"outcome": ENDED, "edits": int(edits[at]), "after": int(edits[at - 1]) if at else 0}
    last, lost = int(edits[-1]), float(run["lost_at"].iloc[0])
    if math.isnan(lost):
        return {"outcome": HELD, "edits": last, "after": last}
    return {"outcome": ENDED, "edits": max(int(lost), last), "after": last}


def _good(run: pd.DataFrame, criterion: str) -> np.ndarray:
    if criterion == "sign":
        good = run["total_sign"] != 0
    elif criterion == "apart":
        good = run["total_smallest_gap"] > 0
    elif criterion == "taylor":
        good = run["total_first_order_error"] <= TAYLOR_TOLERANCE
    else:
        good = run["efficacy"] >= LEVEL
    return np.asarray(good, dtype=bool)


def ends_by_setting(ends: pd.DataFrame) -> pd.DataFrame:
    """The same over seeds.

    Parameters
    ----------
    ends
        As `ends_of_smallness` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a setting and criterion in which some seed was ever there: columns of `SETTING`, strength,
        criterion, step (geometric mean), seeds, held (how many), edits (geometric mean: a lower bound if some
        held), low and high (95%, Student's t of the logarithms; NaN if some held), at_once (no seed had a
        point at which it held: edits are an upper bound).
    """
    import pandas as pd

    rows = []
    there = ends[ends["outcome"] != NEVER]
    for key, own in there.groupby([*SETTING, "strength", "criterion"], sort=False, dropna=False):
        row: dict[str, Any] = dict(zip((*SETTING, "strength", "criterion"), key, strict=True))
        held = int((own["outcome"] == HELD).sum())
        middle, low, high = np.exp(mean_interval(np.log(own["edits"].to_numpy(dtype=float))))
        row |= {"step": float(np.exp(np.log(own["step"]).mean())), "seeds": len(own), "held": held}
        row |= {"edits": middle, "low": math.nan if held else low, "high": math.nan if held else high}
        row["at_once"] = bool((own["after"] == 0).all())
        rows.append(row)
    columns = [*SETTING, "strength", "criterion", "step", "seeds", "held", "edits", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "at_once"])


def step_exponents(ends: pd.DataFrame, *, samples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How the count falls with the step: p in edits ∝ step^p, over all editors and settings.

    Independent steps add up as √t, so that a given ‖ΔW‖ is reached at p = −2; steps in one direction make
    p = −1. Counts are log-normal about the power, and each is known to lie between two points, before the
    first one, or after the last (maximum likelihood).

    Parameters
    ----------
    ends
        As `ends_of_smallness` returns them.
    samples, seed
        Resamples of runs, and their seed.

    Returns
    -------
    pandas.DataFrame
        One row a criterion: criterion, runs, held, exponent, low, high (95%), and level, log edits at step 1;
        NaN with fewer than 6 runs, or unless 3 of them ended after their first point, at steps that differ by
        a factor of 2 or more; or with runs of two sizes of steps alone.
    """
    import pandas as pd

    rows = []
    for criterion in CRITERIA:
        own = ends[(ends["criterion"] == criterion) & (ends["outcome"] != NEVER)]
        held = (own["outcome"] == HELD).to_numpy()
        steps, edits = np.log(own["step"].to_numpy(dtype=float)), own["edits"].to_numpy(dtype=float)
        with np.errstate(divide="ignore"):
            since = np.log(np.where(held, edits, own["after"].to_numpy(dtype=float)))
        until = np.where(held, np.inf, np.log(edits))
        exponent, level = _power(steps, since, until)
        low, high = math.nan, math.nan
        if math.isfinite(exponent):
            runs = Clusters.of(own["run"].to_numpy()).weights(samples=samples, seed=seed)
            drawn = [_power(*(np.repeat(one, often) for one in (steps, since, until)))[0] for often in runs]
            low, high = interval(np.array(drawn))
        row = {"criterion": criterion, "runs": len(own), "held": int(held.sum())}
        rows.append(row | {"exponent": exponent, "low": low, "high": high, "level": level})
    return pd.DataFrame(rows)


def _power(steps: np.ndarray, since: np.ndarray, until: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of log edits, known to lie between `since` and `until`, on log step."""
    from scipy.optimize import minimize
    from scipy.special import ndtr

    within = np.isfinite(since) & np.isfinite(until)
    if len(steps) < _RUNS or within.sum() < _WITHIN or np.ptp(steps[within]) < math.log(_SPAN):
        return math.nan, math.nan
    if not _several(steps):
        return math.nan, math.nan
    centre = steps[within].mean()
    x = steps - centre
    middle = (since[within] + until[within]) / 2
    slope = float(x[within] @ (middle - middle.mean()) / (x[within] @ x[within]))

    def unlikely(known: np.ndarray) -> float:
        mean, sigma = known[0] + known[1] * x, math.exp(max(known[2], math.log(1e-3)))
        below, above = (since - mean) / sigma, (until - mean) / sigma
        # Above the mean the difference is taken in the other tail, where it is not 1 − 1.
        far = below > 0
        chance = ndtr(np.where(far, -below, above)) - ndtr(np.where(far, -above, below))
        return float(-np.log(np.maximum(chance, 1e-300)).sum())

    found = minimize(unlikely, [middle.mean(), slope, math.log(0.5)], method="Nelder-Mead")
    return float(found.x[1]), float(found.x[0] - found.x[1] * centre)


def _several(steps: np.ndarray) -> bool:
    """Whether logarithms of steps, not all alike, are not of two sizes alone."""
    place = (steps - steps.min()) / np.ptp(steps)
    return bool((np.abs(place - 0.5) < 0.5 - _INSIDE).any())
