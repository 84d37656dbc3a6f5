"""What a store's runs say together: one tidy table, and where each run collapses.

A row is a measure point with all columns; beside the stored measures it has what the run was (host, editor,
seed) and the predictors of `PREDICTORS`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sphere_theory.arrays import as_real
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.catalog import EDITORS
from sphere_theory.editing.control import KINDS, Control
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from sphere_theory.streams.store import RunInfo, RunStore

METRICS = ("efficacy", "generalisation", "specificity")

# A stream has collapsed when one of these is below the level: generalisation follows efficacy.
COLLAPSING = ("efficacy", "specificity")
LEVEL = 0.5

# Column: how figures and tables call it. The energy's own first, then its rivals.
PREDICTORS: Mapping[str, str] = {
    "energy_level": "|ΔHE|, level",
    "energy_step": "|ΔHE|, newest batch",
    "edit_norm": "‖ΔW‖/‖W‖",
    "row_norm_growth": "row-norm growth",
    "condition": "condition number",
    "singular_drift": "singular drift",
    "R_mean": "R, mean",
    "R_max": "R, largest",
    "principal_share": "principal share",
}

# What makes runs comparable: they differ in the editor, its settings and the seed alone.
STUDY = ("host", "batch_size", "planned", "conditions")

# What may stand around a base editor, by name: SPHERE, or a control of it.
PROJECTED = "SPHERE"
OPERATORS = ("", PROJECTED, *KINDS.values())

# SPHERE's other options, and the values that need no mention.
_USUAL = {
    "basis": "pretrained",
    "rows": "raw",
    "rank_rule": "paper",
    "solve_on": "projected",
    "compensate": False,
}


def gather(store: RunStore) -> pd.DataFrame:
    """All measure points with all columns of all runs of a store.

    Parameters
    ----------
    store
        Where the runs are.

    Returns
    -------
    pandas.DataFrame
        Runs as in `in_order`. Columns of `facts`, of `Measures`, and the predictors: energy_level = |ΔHE| and
        energy_step = its change over the newest batch, both over the uniform expectation;
        rank_left = max(0, 1 − k/d) for k facts in force, the share of input directions that no edited key
        needs yet.

    Raises
    ------
    InputError
        The store has no such point.
    """
    import pandas as pd

    parts = [_points(store, info) for info in in_order(store)]
    parts = [part for part in parts if len(part)]
    if not parts:
        raise InputError("store", "runs with all measures", f"none in {store.path}")
    return pd.concat(parts, ignore_index=True)


def in_order(store: RunStore) -> list[RunInfo]:
    """All runs of a store, in an order that does not depend on when they were made.

    Parameters
    ----------
    store
        Where the runs are.

    Returns
    -------
    list of RunInfo
        By the editors' catalog, without SPHERE first, then with it, then with its controls, then by seed.
    """
    return sorted(store.runs(), key=_place)


def _place(info: RunInfo) -> tuple[int, int, int, str]:
    known = facts(info)
    around = OPERATORS.index(known["operator"])
    return list(EDITORS).index(known["base"]), around, known["seed"], info.id


def _points(store: RunStore, info: RunInfo) -> pd.DataFrame:
    rows = store.frame(info.id)
    if "efficacy" not in rows:
        return rows.iloc[:0]
    uniform = rows["energy"] / rows["energy_uniform"]
    steps = rows["energy_change"].diff().fillna(rows["energy_change"])
    known = facts(info) | {
        "energy_level": (rows["energy_change"] / uniform).abs(),
        "energy_step": (steps / uniform).abs(),
        "rank_left": (1 - rows["in_force"] / info.config["shape"][1]).clip(lower=0),
    }
    return rows.assign(**known).dropna(subset=["efficacy"])


def facts(info: RunInfo) -> dict[str, Any]:
    """What a run was, from its configuration.

    Parameters
    ----------
    info
        The run.

    Returns
    -------
    dict
        run, host, base (the editor that SPHERE or a control wraps, or the editor itself), settings (its
        hyperparameters, JSON), operator (one of `OPERATORS`), eta and alpha (NaN without operator), variant
        (SPHERE's other options in words), editor (base, with "+ SPHERE" or "+ random subspace"), seed,
        batch_size, planned (edits of the whole stream), conditions (of arithmetic and retrieval), status.
    """
    config, stream = info.config, info.config["stream"]
    record = config["editor"]
    operator = _operator(record)
    base = record["editor"] if operator else record
    variant = _variant(record) if operator == PROJECTED else ""
    return {
        "run": info.id,
        "host": _host(config),
        "base": base["name"],
        "settings": json.dumps({key: value for key, value in base.items() if key != "name"}, sort_keys=True),
        "operator": operator,
        "eta": record["eta"] if operator else math.nan,
        "alpha": record["alpha"] if operator else math.nan,
        "variant": variant,
        "editor": _label(base["name"], record, operator, variant) if operator else base["name"],
        "seed": stream["seed"],
        "batch_size": config["batch"],
        "planned": stream["edits"],
        "conditions": _conditions(config),
        "status": info.status,
    }


def _host(config: Mapping[str, Any]) -> str:
    stream, (n, d) = config["stream"], config["shape"]
    weights = f"{stream['weights']}, " if "weights" in stream else ""
    like = [f"with the second moment of {stream['second_moment']}"] if "second_moment" in stream else []
    prompts = [stream["prompts"]] if "prompts" in stream else []
    spectrum = f"{stream['spectrum']} spectrum ({stream['decay']:g}), " if "spectrum" in stream else ""
    keys = " ".join([stream["source"], *prompts, "keys", *like])
    return f"{weights}{keys}, {spectrum}{stream['order']} order, {n}×{d}"


def _conditions(config: Mapping[str, Any]) -> str:
    """What numbers depend on beside the edits: the arithmetic, and how many rivals a value has."""
    measures = config["measures"]
    rivals = f"{measures['candidates']} edited and {measures['preserved_candidates']} preserved values"
    return f"{config['dtype']}, among {rivals}"


def _operator(record: Mapping[str, Any]) -> str:
    if record["name"] == Control.name:
        return KINDS[record["kind"]]
    return PROJECTED if record["name"] == Sphere.name else ""


def _variant(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={record[key]}" for key, usual in _USUAL.items() if record.get(key) != usual)


def _label(base: str, record: Mapping[str, Any], operator: str, variant: str) -> str:
    """The paper's settings need no mention."""
    own = (record["eta"], record["alpha"]) != (0.5, paper_alpha(base))
    inside = [f"η={record['eta']:g}, α={record['alpha']:g}"] if own else []
    inside += [variant] if variant else []
    return f"{base} + {operator}" + (f" ({', '.join(inside)})" if inside else "")


def paper_alpha(base: str) -> float:
    """α of the paper for an editor.

    Parameters
    ----------
    base
        Its name.

    Returns
    -------
    float
        0.5 for AlphaEdit, else 0.8.
    """
    return 0.5 if base == AlphaEdit.name else 0.8


def collapses(points: pd.DataFrame, *, level: float = LEVEL) -> pd.DataFrame:
    """Where each run collapses: efficacy or specificity first below a level that it had reached.

    Between two points the metric is taken to be a straight line. A run whose weights are lost has collapsed
    there at the latest. One whose efficacy never reaches the level has learned too little to lose it.

    Parameters
    ----------
    points
        As `gather` returns them.
    level
        In (0, 1].

    Returns
    -------
    pandas.DataFrame
        One row a run: run, host, base, editor, seed, batch_size, planned; collapse, edits, ∞ if it held, NaN
        if it never learned; by: "efficacy", "specificity", "weights", "held" or "never learned"; last, the
        edits of the last point.

    Raises
    ------
    RangeError
        A level outside (0, 1].
    """
    import pandas as pd

    as_real(level, "level", low=0, high=1, low_open=True)
    keep = ["run", *STUDY, "base", "settings", "editor", "seed"]
    rows = []
    for _, run in points.groupby("run", sort=False):
        collapse, by = _collapse(run, level)
        last = float(run["edits"].iloc[-1])
        rows.append(dict(run[keep].iloc[0]) | {"collapse": collapse, "by": by, "last": last})
    return pd.DataFrame(rows)


def _collapse(run: pd.DataFrame, level: float) -> tuple[float, str]:
    if run["efficacy"].max() < level:
        return math.nan, "never learned"
    found = [(_falls(run, metric, level), metric) for metric in COLLAPSING]
    status = str(run["status"].iloc[0])
    if status.startswith("collapsed at edit "):
        found.append((float(status.split()[3].rstrip(":")), "weights"))
    first, by = min(found)
    return (first, by) if math.isfinite(first) else (math.inf, "held")


def _falls(run: pd.DataFrame, metric: str, level: float) -> float:
    """Edits at which a metric first falls below a level after it was there; ∞ if it does not."""
    edits, values = run["edits"].tolist(), run[metric].tolist()
    pairs = zip(edits, values, edits[1:], values[1:], strict=False)
    for start, before, stop, after in pairs:
        if before >= level > after:
            return float(start + (stop - start) * (before - level) / (before - after))
    # Specificity starts at 1, before the first point.
    return float(edits[0]) if metric == "specificity" and values[0] < level else math.inf
