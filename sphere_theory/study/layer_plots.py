"""What figures of experiments on single layers share: marks of layers and their mean, and who they are.

Layers of one model are a group and have one colour, every kind of synthetic keys is a group of its own: the
column ``family`` of `experiment_rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.study.statistics import mean_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def geometric_interval(values: pd.Series | np.ndarray) -> tuple[float, float, float]:
    """Geometric mean of independent values, with Student's interval of their logarithms.

    Parameters
    ----------
    values
        Positive, no NaN.

    Returns
    -------
    mean, low, high
        low and high NaN for a single value.
    """
    mean, low, high = np.exp(mean_interval(np.log(np.asarray(values, dtype=float))))
    return float(mean), float(low), float(high)


def beside(place: int, count: int) -> float:
    """How far below its row's middle a group is drawn, so that groups do not hide each other.

    Parameters
    ----------
    place
        Of the group, from 0.
    count
        Of groups.

    Returns
    -------
    float
        In rows.
    """
    return 0.16 * (2 * place - count + 1)


def dots(
    axes: Axes,
    rows: pd.DataFrame,
    by: str,
    names: Sequence[str],
    column: str,
    groups: Mapping[str, str],
    *,
    log: bool = False,
) -> None:
    """One small mark a layer or seed, and their mean with its interval, in a row a name.

    Parameters
    ----------
    axes
        A panel.
    rows
        Of an experiment, as `experiment_rows` returns them.
    by
        Column of the names.
    names
        Rows of the panel, from 0.
    column
        Of the values.
    groups
        Colours by family; their means carry its name as gid.
    log
        Whether means are geometric.
    """
    average = geometric_interval if log else mean_interval
    for k, (group, colour) in enumerate(groups.items()):
        own, shift = rows[rows["family"] == group], beside(k, len(groups))
        found = {}
        for place, name in enumerate(names):
            one = own[own[by] == name].groupby(["host", "seed"], sort=False)[column]
            each = np.array([average(draws.to_numpy())[0] for _, draws in one])
            if len(each):
                axes.plot(each, [place + shift] * len(each), ".", color=colour, alpha=0.45, markersize=5)
                found[place + shift] = average(each)
        if found:
            mean, low, high = np.array(list(found.values())).T
            axes.hlines(list(found), low, high, color=colour, linewidth=1.2)
            axes.plot(mean, list(found), "D", color=colour, markersize=5, gid=group, zorder=3)


def name_groups(axes: Axes, groups: Mapping[str, str], height: float, **text: Any) -> None:
    """Say at the left of a panel which colour is whose.

    Parameters
    ----------
    axes
        The panel.
    groups
        Colours by family.
    height
        Of the first line, as a share of the panel's.
    text
        Of matplotlib's text.
    """
    for k, (group, colour) in enumerate(groups.items()):
        at = (0.03, height - 0.06 * k)
        axes.text(*at, group, color=colour, transform=axes.transAxes, fontsize="small", **text)


def ruled(axes: Axes) -> None:
    """A panel whose rows are names: faint lines along them, and no frame but below.

    Parameters
    ----------
    axes
        The panel.
    """
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y", color="0.93")


def counted(number: Any, one: str, many: str | None = None) -> str:
    """A number of things in words.

    Parameters
    ----------
    number
        How many, whole.
    one
        What one of them is called.
    many
        What others are called. Default: with an s.

    Returns
    -------
    str
        Such as "1 seed" or "3 batches".
    """
    return f"{int(number)} {one if number == 1 else many or one + 's'}"


def real_layers(rows: pd.DataFrame) -> str:
    """How many layers of which models, in words.

    Parameters
    ----------
    rows
        Of an experiment, as `experiment_rows` returns them.

    Returns
    -------
    str
        Such as "6 MiniLM layers with recorded keys".
    """
    real = rows[rows["real"].astype(bool)]
    models = real.groupby("family", sort=False)["host"].nunique()
    told = [counted(layers, f"{family} layer") for family, layers in models.items()]
    return f"{' and '.join(told) or 'no real layer'} with recorded keys"


def synthetic_seeds(rows: pd.DataFrame) -> str:
    """How many seeds of synthetic layers, in words.

    Parameters
    ----------
    rows
        Of an experiment, as `experiment_rows` returns them.

    Returns
    -------
    str
        Such as "3 seeds".
    """
    return counted(rows[~rows["real"].astype(bool)]["seed"].nunique(), "seed")
