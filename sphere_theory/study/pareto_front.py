"""Where settings end, and whether SPHERE reaches what turning the base editor's own λ does not.

The front is one of efficacy and specificity. A setting is held against the curve that the base editor alone
draws as λ (AlphaEdit: L2) is turned, seed by seed, for a seed decides the facts and so moves both. Its gap is
by how much it would have to fall, in the better of the two measures, for some point of the curve to be as
good in both: above 0 no point is.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.study.run_table import STRENGTHS
from sphere_theory.study.statistics import SAMPLES, Clusters, interval, mean_interval

if TYPE_CHECKING:
    import pandas as pd

# What the front is drawn in.
AXES = ("specificity", "efficacy")

# Runs that agree in these are of one setting and differ in the seed.
SETTING = ("base", "settings", "operator", "variant", "eta", "alpha", "strength")

# Of where a setting ends.
MEASURED = (*METRICS, "energy_level")

# Of a setting: no point of the curve is as good, by more than the interval over seeds; neither that nor the
# contrary; some point is better in both, by more than it; better in a measure in which the curve is best at
# its last λ, so that a λ beyond those tried may do as well.
VERDICTS = ("beyond", "undecided", "dominated", "off the curve")
BEYOND, UNDECIDED, DOMINATED, OFF = VERDICTS


def settings_reached(points: pd.DataFrame) -> pd.DataFrame:
    """Where each setting ends: means over seeds at the last point of its runs.

    The settings of a base editor that SPHERE or a control of it was tried on are its own; with others, and
    without SPHERE, it is a control itself.

    Parameters
    ----------
    points
        Of comparable runs, as `load_points` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a setting: base, operator, variant, eta, alpha, strength (λ or L2), turned (whether it is such
        a control), edits, seeds, and each of `MEASURED` with _low and _high (95%, over seeds).
    """
    import pandas as pd

    last = points.groupby("run", sort=False).tail(1)
    own = set(map(tuple, last[last["operator"] != ""][["base", "settings"]].to_numpy()))
    rows = []
    for key, runs in last.groupby(list(SETTING), sort=False, dropna=False):
        row: dict[str, Any] = dict(zip(SETTING, key, strict=True))
        row["turned"] = (row["base"], row.pop("settings")) not in own
        row |= {"edits": int(runs["edits"].min()), "seeds": len(runs)}
        for measure in MEASURED:
            mean, low, high = mean_interval(runs[measure].to_numpy())
            row |= {measure: mean, f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def front_gap(point: np.ndarray, curve: np.ndarray) -> float:
    """By how much a point lies beyond a curve of straight lines; below 0: behind it.

    Parameters
    ----------
    point
        Specificity and efficacy, (2,).
    curve
        The same of each λ in order, (k, 2), k ≥ 2.

    Returns
    -------
    float
        min over the curve's points p of max(point − p): additive ε of multi-objective optimisation.
    """
    starts, ways = curve[:-1], np.diff(curve, axis=0)
    lead = point - starts
    slope = ways[:, 0] - ways[:, 1]
    level = slope != 0
    # On a line the larger of two linear functions is least at an end, or where the two are equal.
    equal = np.divide(lead[:, 0] - lead[:, 1], slope, out=np.zeros(len(slope)), where=level)
    stops = np.stack([np.zeros(len(slope)), np.ones(len(slope)), equal.clip(0, 1)])
    return float((lead - stops[:, :, None] * ways).max(axis=2).min())


def corner_gap(point: np.ndarray, curve: np.ndarray) -> float:
    """The same for the furthest that any monotone curve through the same points could reach.

    Parameters
    ----------
    point, curve
        As in `front_gap`.

    Returns
    -------
    float
        Never more than `front_gap`.
    """
    return float((point - np.maximum(curve[:-1], curve[1:])).max(axis=1).min())


def front_gaps(points: pd.DataFrame) -> pd.DataFrame:
    """The gap of each setting and seed to the curve of its base editor on that seed.

    Parameters
    ----------
    points
        Of comparable runs, as `load_points` returns them. Unfinished ones have no say.
        A setting's run whose weights were lost has neither measure left, 0 both; a base editor's is no point
        of the curve.

    Returns
    -------
    pandas.DataFrame
        One row a run of SPHERE, a variant of it or a control: columns of `SETTING`, seed, specificity,
        efficacy, gap, corner, and off, whether it is off the curve. Without those whose base editor ran with
        fewer than two strengths on that seed.

    Raises
    ------
    InputError
        None is left.
    """
    import pandas as pd

    last = points[points["ended"]].groupby("run", sort=False).tail(1)
    # Without lost runs a setting would be judged by the seeds on which it went well.
    lost, alone = last["lost_at"].notna(), last["operator"] == ""
    left = {axis: last[axis].mask(lost, 0.0) for axis in AXES}
    last = last.assign(family=last["settings"].map(_family), **left)
    curves = dict(iter(last[alone & ~lost].sort_values("strength").groupby(["base", "family", "seed"])))
    parts = []
    for key, runs in last[~alone].groupby(["base", "family", "seed"], sort=False):
        curve = curves.get(key)
        if curve is not None and curve["strength"].nunique() >= 2:
            parts.append(_against(runs, curve[list(AXES)].to_numpy(dtype=float)))
    if not parts:
        raise InputError("points", "SPHERE or a control, and its base editor with two λ or more", "neither")
    return pd.concat(parts, ignore_index=True)


def _family(settings: str) -> str:
    """All hyperparameters but the strength: what a curve keeps."""
    known = json.loads(settings)
    strength = next((name for name in STRENGTHS if name in known), None)
    return json.dumps({key: value for key, value in known.items() if key != strength})


def _against(runs: pd.DataFrame, line: np.ndarray) -> pd.DataFrame:
    values = runs[list(AXES)].to_numpy(dtype=float)
    return runs[[*SETTING, "seed", *AXES]].assign(
        gap=[front_gap(value, line) for value in values],
        corner=[corner_gap(value, line) for value in values],
        off=[_off(value, line) for value in values],
    )


def _off(point: np.ndarray, line: np.ndarray) -> bool:
    best = line.argmax(axis=0)
    return bool(((point > line.max(axis=0)) & ((best == 0) | (best == len(line) - 1))).any())


def front_verdicts(gaps: pd.DataFrame) -> pd.DataFrame:
    """Each setting against the curve of its base editor.

    Parameters
    ----------
    gaps
        As `front_gaps` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a setting: columns of `SETTING`, seeds, gap with low and high (95%, Student's t, over seeds),
        verdict, one of `VERDICTS` ("off the curve" if most seeds are), and sure, whether it is beyond even
        the corners of the curve, whatever it does between two λ.
    """
    import pandas as pd

    rows = []
    for key, runs in gaps.groupby(list(SETTING), sort=False, dropna=False):
        gap, low, high = mean_interval(runs["gap"].to_numpy())
        verdict = OFF if runs["off"].mean() > 0.5 else _verdict(low, high)
        sure = verdict == BEYOND and mean_interval(runs["corner"].to_numpy())[1] > 0
        found = {"seeds": len(runs), "gap": gap, "low": low, "high": high, "verdict": verdict, "sure": sure}
        rows.append(dict(zip(SETTING, key, strict=True)) | found)
    return pd.DataFrame(rows)


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return BEYOND
    return DOMINATED if high < 0 else UNDECIDED


def front_shares(gaps: pd.DataFrame, *, samples: int = SAMPLES, seed: int = 0) -> pd.DataFrame:
    """How many settings of SPHERE, of each variant and of each control reach beyond the curve of λ.

    Parameters
    ----------
    gaps
        As `front_gaps` returns them.
    samples, seed
        Resamples of the seeds, and their seed.

    Returns
    -------
    pandas.DataFrame
        One row a base editor and what stands around it: base, operator, variant, settings, seeds (the fewest
        of a setting), the count of each of `VERDICTS`, sure, furthest, the largest gap of those beyond (NaN
        if none is), and share, "beyond" among the settings that are not off the curve (NaN if all are), with
        low and high (95%: seeds resampled, the reach of each setting's interval held).
    """
    import pandas as pd

    rows = []
    for (base, operator, variant), own in gaps.groupby(["base", "operator", "variant"], sort=False):
        table = front_verdicts(own)
        row: dict[str, Any] = {"base": base, "operator": operator, "variant": variant, "settings": len(table)}
        row["seeds"] = int(table["seeds"].min())
        row |= {verdict: int((table["verdict"] == verdict).sum()) for verdict in VERDICTS}
        row["sure"] = int(table["sure"].sum())
        row["furthest"] = table["gap"][table["verdict"] == BEYOND].max()
        judged = (table["verdict"] != OFF).to_numpy()
        row["share"] = row[BEYOND] / judged.sum() if judged.any() else math.nan
        reach = (table["gap"] - table["low"]).to_numpy()
        drawn = _resampled_shares(_by_seed(own)[judged], reach[judged], samples=samples, seed=seed)
        row["low"], row["high"] = interval(drawn) if judged.any() else (math.nan, math.nan)
        rows.append(row)
    return pd.DataFrame(rows)


def _by_seed(gaps: pd.DataFrame) -> np.ndarray:
    """Gaps with a row a setting, in the order of `front_verdicts`, and a column a seed; NaN where none is."""
    settings = gaps.groupby(list(SETTING), sort=False, dropna=False).ngroup()
    _, seeds = np.unique(gaps["seed"], return_inverse=True)
    found = np.full((settings.max() + 1, seeds.max() + 1), np.nan)
    found[settings, seeds] = gaps["gap"]
    return found


def _resampled_shares(gaps: np.ndarray, reach: np.ndarray, *, samples: int, seed: int) -> np.ndarray:
    known, there = np.nan_to_num(gaps), np.isfinite(gaps)
    drawn = np.stack(list(Clusters.of(np.arange(gaps.shape[1])).weights(samples=samples, seed=seed)))
    counts = there @ drawn.T
    # A setting that a resample has no seed of has no mean there.
    means = np.divide(known @ drawn.T, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    judged = np.isfinite(means).sum(axis=0)
    beyond = (means > reach[:, None]).sum(axis=0)
    return np.divide(beyond, judged, out=np.full(samples, np.nan), where=judged > 0)
