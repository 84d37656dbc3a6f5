"""η and α of SPHERE, and what the base editor's own strength reaches without it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.runs import METRICS
from sphere_theory.editing.control import KINDS

if TYPE_CHECKING:
    import pandas as pd

PLAIN, TURNED = "base editor", "own ridge turned"
CONTROLS = tuple(KINDS.values())

# Hyperparameters by which a base editor trades new facts for old ones without SPHERE.
STRENGTHS = ("ridge", "l2")

MEASURED = (*METRICS, "energy_level")

# Runs that agree in these are of one setting and differ in the seed.
SETTING = ("base", "settings", "kind", "eta", "alpha", "strength")


def settings_reached(points: pd.DataFrame) -> pd.DataFrame:
    """Where each setting ends: means over seeds at the last point of its runs.

    The settings of a base editor that SPHERE or a control of it was tried on are its own; with others, and
    without SPHERE, it is a control itself.

    Parameters
    ----------
    points
        Of comparable runs, as `gather` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a setting: base; kind, `PLAIN`, `PROJECTED`, `TURNED`, one of `CONTROLS`, or a variant of
        SPHERE in words; eta, alpha, strength (λ or L2), edits, seeds, and each of `MEASURED` with _low and
        _high (95%, over seeds).
    """
    import pandas as pd

    rows = []
    for key, runs in last_points(points).groupby(list(SETTING), sort=False, dropna=False):
        row = dict(zip(SETTING, key, strict=True))
        row |= {"edits": int(runs["edits"].min()), "seeds": len(runs)}
        for measure in MEASURED:
            mean, low, high = mean_interval(runs[measure].to_numpy())
            row |= {measure: mean, f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row)
    return pd.DataFrame(rows).drop(columns="settings")


def last_points(points: pd.DataFrame) -> pd.DataFrame:
    """The last point of each run, and what kind of setting it is of.

    Parameters
    ----------
    points
        Of comparable runs, as `gather` returns them.

    Returns
    -------
    pandas.DataFrame
        Their columns, kind and strength, as in `settings_reached`.
    """
    last = points.groupby("run", sort=False).tail(1)
    own = set(map(tuple, last.dropna(subset=["eta"])[["base", "settings"]].to_numpy()))
    facts = last[["base", "settings", "operator", "variant"]].to_numpy()
    kinds = [
        variant or operator or (PLAIN if (base, settings) in own else TURNED)
        for base, settings, operator, variant in facts
    ]
    return last.assign(kind=kinds, strength=last["settings"].map(strength_of))


def strength_of(settings: str) -> float:
    """λ or L2 of an editor.

    Parameters
    ----------
    settings
        Its hyperparameters, JSON.

    Returns
    -------
    float
        NaN if it has neither.
    """
    known = json.loads(settings)
    return float(next((known[name] for name in STRENGTHS if name in known), float("nan")))
