"""What stored runs say to the questions of the paper's reviewers: courses, gains and costs by seed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sphere_theory.analysis.gains import gains
from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.runs import METRICS, PROJECTED, STUDY, facts, in_order
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from sphere_theory.streams.store import RunStore

# How `facts` calls SPHERE with U of the weights before each batch, and with that of the pretrained ones.
CURRENT, PRETRAINED = "basis=current", ""

# How ΔW and the principal space of the weights lie to that of the pretrained weights, and its rank.
TURNING = ("principal_overlap", "principal_angle", "principal_share", "principal_rank")
SIZES = ("edit_norm", "step_norm")

_SAME = (*STUDY, "base", "settings")


def courses(points: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns along streams: means over seeds.

    Parameters
    ----------
    points
        Of comparable runs, as `gather` returns them.
    columns
        Which.

    Returns
    -------
    pandas.DataFrame
        One row an editor (with its settings), edit count and column: base, settings, editor, edits, column,
        seeds, mean with low and high (95%, Student's).

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
        for edits, own in runs.groupby("edits"):
            for column in columns:
                found = _mean(own[column])
                rows.append(known | {"edits": edits, "column": column, "seeds": len(own)} | found)
    return pd.DataFrame(rows)


def _mean(values: pd.Series) -> dict[str, float]:
    return dict(zip(("mean", "low", "high"), mean_interval(values.to_numpy()), strict=True))


def refreshed(points: pd.DataFrame) -> pd.DataFrame:
    """Each metric with U of the current weights, less with that of the pretrained ones, along streams.

    Parameters
    ----------
    points
        Of comparable runs, some of `Sphere` with basis="current", as `gather` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a base editor (with its settings, η and α), edit count and metric: base, settings, eta, alpha,
        edits, metric, seeds, pretrained and current (means over seeds), gain with low and high (95%,
        Student's).

    Raises
    ------
    InputError
        No seed has both to the same edit count.
    """
    import pandas as pd

    same = [*_SAME, "eta", "alpha", "seed", "edits"]
    projected = points[points["operator"] == PROJECTED][[*same, "variant", *METRICS]]
    first, second = (projected[projected["variant"] == variant] for variant in (PRETRAINED, CURRENT))
    pairs = first.merge(second, on=same, suffixes=("_first", "_second"))
    if not len(pairs):
        expected = f"runs of SPHERE on the same seed with and without {CURRENT}"
        raise InputError("points", expected, f"variants {sorted(points['variant'].unique())}")
    rows = []
    by = ["base", "settings", "eta", "alpha", "edits"]
    for key, own in pairs.groupby(by, sort=False):
        known = dict(zip(by, key, strict=True)) | {"seeds": len(own)}
        for metric in METRICS:
            before, after = own[f"{metric}_first"], own[f"{metric}_second"]
            gain, low, high = mean_interval((after - before).to_numpy())
            found = {"pretrained": before.mean(), "current": after.mean()}
            rows.append(known | {"metric": metric} | found | {"gain": gain, "low": low, "high": high})
    return pd.DataFrame(rows)


def gains_along(points: pd.DataFrame, base: str = AlphaEdit.name) -> pd.DataFrame:
    """What SPHERE adds to one editor at every edit count.

    Parameters
    ----------
    points
        Of comparable runs, as `gather` returns them.
    base
        Name of the editor. Default "alphaedit".

    Returns
    -------
    pandas.DataFrame
        Rows of `gains` at all edit counts that each pair of runs has.

    Raises
    ------
    InputError
        That editor has not been run with and without SPHERE on the same seed.
    """
    import pandas as pd

    own = points[points["base"] == base]
    last = int(gains(own)["edits"].iloc[0])
    counts = [edits for edits, runs in own.groupby("edits")["run"] if len(runs) >= 2 and edits <= last]
    return pd.concat(list(_defined(own, counts)), ignore_index=True)


def _defined(points: pd.DataFrame, counts: Sequence[Any]) -> Iterator[pd.DataFrame]:
    for edits in counts:
        try:
            yield gains(points, at=int(edits))
        except InputError:  # a count that no pair has
            continue


def timings(store: RunStore, runs: Collection[str]) -> pd.DataFrame:
    """Where the time of every batch of some runs went.

    Parameters
    ----------
    store
        Of the runs.
    runs
        Their full names.

    Returns
    -------
    pandas.DataFrame
        Columns of `facts`, batch, and seconds_solve, seconds_project (NaN without SPHERE), seconds_measure.
        With basis="current" the principal space is part of the solve.

    Raises
    ------
    InputError
        The store has no batch of them with its times.
    """
    import pandas as pd

    parts = []
    for info in in_order(store):
        if info.id not in runs:
            continue
        rows = store.frame(info.id)
        times = [column for column in rows if str(column).startswith("seconds_")]
        if "seconds_solve" in times:
            parts.append(rows[["batch", *times]].assign(**facts(info)))
    if not parts:
        raise InputError("store", "runs with the time of each batch", f"none of {len(runs)} in {store.path}")
    found = pd.concat(parts, ignore_index=True)
    return found if "seconds_project" in found else found.assign(seconds_project=float("nan"))


def projection_costs(batches: pd.DataFrame) -> pd.DataFrame:
    """What SPHERE costs, against the edit that it projects.

    Two ratios, each a number a run first: "projection", the median over batches of the time of ΔW ↦ ΔW·P over
    that of the solve, in the same batch; and "whole stream", all that SPHERE's steps take over all that the
    same editor's take without it on the same seed and batches, less 1: with the principal space, and with the
    noise of two runs.

    Parameters
    ----------
    batches
        As `timings` returns them.

    Returns
    -------
    pandas.DataFrame
        One row an editor with SPHERE and a ratio: host, base, settings, editor, variant, ratio, seeds,
        batches, mean with low and high (95%, Student's, over seeds), and of "projection" also solve and
        project, medians in seconds.

    Raises
    ------
    InputError
        No run has the time of a projection.
    """
    import pandas as pd

    projected = batches.dropna(subset=["seconds_project"])
    if not len(projected):
        raise InputError("batches", "runs with SPHERE", f"editors {sorted(batches['editor'].unique())}")
    plain = _steps(batches[batches["eta"].isna()])
    rows = []
    by = ["host", "base", "settings", "editor", "variant"]
    for key, own in projected.groupby(by, sort=False):
        # The first batch also factorises C0 and finds U: it is no batch like the others.
        later = own[own["batch"] > 0]
        ratios = (later["seconds_project"] / later["seconds_solve"]).groupby(later["run"]).median()
        known = dict(zip(by, key, strict=True)) | {"batches": len(own)}
        medians = {"solve": later["seconds_solve"].median(), "project": later["seconds_project"].median()}
        rows.append(known | {"ratio": "projection", "seeds": len(ratios)} | _mean(ratios) | medians)
        more = _longer(_steps(own), plain)
        if len(more):
            rows.append(known | {"ratio": "whole stream", "seeds": len(more)} | _mean(more))
    return pd.DataFrame(rows)


def _steps(batches: pd.DataFrame) -> pd.Series:
    """Seconds of each step, by batch and what its run shares with one of the same editor and seed."""
    columns = [*_SAME, "seed", "batch"]
    total = batches["seconds_solve"] + batches["seconds_project"].fillna(0)
    return total.groupby([batches[column] for column in columns]).mean()


def _longer(steps: pd.Series, others: pd.Series) -> pd.Series:
    """By how much longer the steps of each run are than another's, over the batches that both have."""
    own, other = steps.align(others, join="inner")
    by = [*_SAME, "seed"]
    return own.groupby(by).sum() / other.groupby(by).sum() - 1
