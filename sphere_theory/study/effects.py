"""What interventions did, with intervals over seeds: means, paired differences, and rank correlations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.study.statistics import mean_interval

if TYPE_CHECKING:
    import pandas as pd

# Where the seeds of one case are compared.
CASE = ("host", "editor")

# What may go with a change of the metrics, by column: of the energy as it is, or its size.
COVARIATES = {
    "energy_change": "ΔHE",
    "energy_size": "|ΔHE|",
    "output_change": "output change",
    "weight_change": "‖D‖/‖W‖",
}


def averages(frame: pd.DataFrame, values: Sequence[str], within: Sequence[str]) -> pd.DataFrame:
    """Mean of each value for each arm, with an interval over seeds; draws of one seed are averaged first.

    Parameters
    ----------
    frame
        Rows of `Intervention` or `EnergyStabilization`, with their fields.
    values
        Columns to average.
    within
        Columns that tell rows of one arm apart, such as size.

    Returns
    -------
    pandas.DataFrame
        host, editor, those of `within`, arm, value, mean, low, high, seeds; in the order of the frame.

    Raises
    ------
    InputError
        A column is missing.
    """
    each = _by_seed(frame, values, within)
    keys = [*CASE, *within, "arm"]
    return _summary(each.groupby(keys, sort=False)[list(values)], keys, values)


def differences(frame: pd.DataFrame, pairs: Sequence[tuple[str, str]], within: Sequence[str]) -> pd.DataFrame:
    """Metrics under one arm less those under another on the same layer, with an interval over seeds.

    Parameters
    ----------
    frame
        Rows of `Intervention` or `EnergyStabilization`, with their fields.
    pairs
        The one arm, and the other; of pairs that a case lacks there is no row.
    within
        As for `averages`.

    Returns
    -------
    pandas.DataFrame
        first, second, host, editor, those of `within`, value, mean, low, high, seeds.

    Raises
    ------
    InputError
        A column is missing.
    """
    import pandas as pd

    each = _by_seed(frame, METRICS, within).set_index([*CASE, *within, "seed"])
    keys = [*CASE, *within]
    parts = []
    for first, second in pairs:
        ours, theirs = (each[each["arm"] == arm][list(METRICS)] for arm in (first, second))
        gap = (ours - theirs).dropna().reset_index()
        found = _summary(gap.groupby(keys, sort=False)[list(METRICS)], keys, METRICS)
        parts.append(found.assign(first=first, second=second))
    return pd.concat(parts, ignore_index=True)


def associations(frame: pd.DataFrame, leave: Sequence[str] = ()) -> pd.DataFrame:
    """Spearman's ρ between what an intervention changed and the change of a metric, over all arms and sizes.

    Parameters
    ----------
    frame
        Rows of `Intervention`, with their fields.
    leave
        Arms to leave out.

    Returns
    -------
    pandas.DataFrame
        host, editor, value (the metric), covariate (a column of `COVARIATES`), mean, low, high, seeds: ρ of
        each seed's layer, and an interval over seeds. NaN where a metric never changed.

    Raises
    ------
    InputError
        A column is missing.
    """
    import pandas as pd
    from scipy.stats import spearmanr

    changes = [f"{metric}_change" for metric in METRICS]
    _require(frame, [*CASE, "seed", "arm", "energy_change", *changes])
    used = frame[~frame["arm"].isin(leave)].assign(energy_size=lambda rows: rows["energy_change"].abs())
    parts = []
    for case, own in used.groupby(list(CASE), sort=False):
        for metric, change in zip(METRICS, changes, strict=True):
            for covariate in COVARIATES:
                layers = [layer for _, layer in own.groupby("seed") if layer[change].nunique() > 1]
                found = np.array([spearmanr(layer[covariate], layer[change])[0] for layer in layers])
                what = dict(zip(CASE, case, strict=True)) | {"value": metric, "covariate": covariate}
                parts.append(what | _interval(found))
    return pd.DataFrame(parts)


def _by_seed(frame: pd.DataFrame, values: Sequence[str], within: Sequence[str]) -> pd.DataFrame:
    keys = [*CASE, *within, "arm", "seed"]
    _require(frame, [*keys, *values])
    return frame.groupby(keys, sort=False)[list(values)].mean().reset_index()


def _require(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in frame.columns]:
        raise InputError("frame", f"columns {', '.join(missing)}", f"{', '.join(map(str, frame.columns))}")


def _summary(
    groups: pd.core.groupby.DataFrameGroupBy, keys: Sequence[str], values: Sequence[str]
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for key, own in groups:
        fixed = dict(zip(keys, key, strict=True))
        rows += [fixed | {"value": name} | _interval(own[name].to_numpy()) for name in values]
    return pd.DataFrame(rows)


def _interval(found: np.ndarray) -> dict[str, float]:
    mean, low, high = mean_interval(found) if len(found) else (np.nan, np.nan, np.nan)
    return {"mean": mean, "low": low, "high": high, "seeds": len(found)}
