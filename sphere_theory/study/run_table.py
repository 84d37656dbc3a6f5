"""What a store holds, as tidy tables: the measure points of all its runs, and the rows of its experiments.

A row of runs is a measure point with all columns; beside the stored measures it has what the run was (host,
editor, seed) and the columns that predictors are made of.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.control import KINDS, Control
from sphere_theory.editing.registry import EDITORS
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import InputError
from sphere_theory.hosts.registry import title_of
from sphere_theory.hosts.synthetic import SyntheticLayer

if TYPE_CHECKING:
    import pandas as pd

    from sphere_theory.streams.entries import RunInfo
    from sphere_theory.streams.store import RunStore

# What makes runs comparable: they differ in the editor, its settings and the seed alone.
STUDY = ("host", "batch_size", "planned", "conditions")

# What may stand around a base editor, by name: SPHERE, or a control of it.
PROJECTED = "SPHERE"
OPERATORS = ("", PROJECTED, *KINDS.values())

# Hyperparameters by which a base editor trades new facts for old ones without SPHERE.
STRENGTHS = ("ridge", "l2")

# SPHERE's other options, and the values that need no mention.
_USUAL = {
    "basis": "pretrained",
    "rows": "raw",
    "rank_rule": "paper",
    "solve_on": "projected",
    "compensate": False,
}


def load_points(store: RunStore) -> pd.DataFrame:
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
        By the registry of editors, without SPHERE first, then with it, then with its controls, then by seed,
        then by what else they were; of what was run again with other code the last.
    """
    latest = {_without_code(info.config): info for info in store.runs()}
    return sorted(latest.values(), key=_place)


def _without_code(config: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in config.items() if key != "code"}, sort_keys=True)


def _place(info: RunInfo) -> tuple[int, str, int, int, str, str, str]:
    known, bases = facts(info), list(EDITORS)
    # Editors of one's own come last, by name.
    base = bases.index(known["base"]) if known["base"] in EDITORS else len(bases)
    around = OPERATORS.index(known["operator"])
    told = (known["editor"], known["settings"], json.dumps(info.config.get("stream"), sort_keys=True))
    return base, known["base"], around, known["seed"], *told


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
        run, host, real (whether its weights are a model's), base (the editor that SPHERE or a control wraps,
        or the editor itself), settings (its hyperparameters, JSON), strength (λ or L2 among them, NaN if it
        has neither), operator (one of `OPERATORS`), eta and alpha (NaN without operator), variant (SPHERE's
        other options in words), as_paper (whether it is SPHERE with the paper's η, α and options), editor
        (base, with "+ SPHERE" or "+ random subspace": a label), seed, batch_size, planned (edits of the whole
        stream), conditions (of arithmetic and retrieval), ended, lost_at (edits at which the weights were
        lost; NaN if they were not).
    """
    config, stream = info.config, info.config["stream"]
    record = config["editor"]
    operator = _operator(record)
    base = record["editor"] if operator else record
    variant = _variant(record) if operator == PROJECTED else ""
    settings = {key: value for key, value in base.items() if key != "name"}
    papers = bool(operator) and (record["eta"], record["alpha"]) == (0.5, _paper_alpha(base["name"]))
    return {
        "run": info.id,
        "host": _host(config),
        "real": _is_real(stream),
        "base": base["name"],
        "settings": json.dumps(settings, sort_keys=True),
        "strength": float(next((settings[name] for name in STRENGTHS if name in settings), math.nan)),
        "operator": operator,
        "eta": record["eta"] if operator else math.nan,
        "alpha": record["alpha"] if operator else math.nan,
        "variant": variant,
        "as_paper": operator == PROJECTED and papers and not variant,
        "editor": _label(base["name"], record, operator, variant, papers) if operator else base["name"],
        "seed": stream["seed"],
        "batch_size": config["batch"],
        "planned": stream["edits"],
        "conditions": _conditions(config),
        "ended": info.ended,
        "lost_at": math.nan if info.lost_at is None else float(info.lost_at),
    }


def _host(config: Mapping[str, Any]) -> str:
    stream, (n, d) = config["stream"], config["shape"]
    weights = f"{stream['weights']}, " if "weights" in stream else ""
    like = [f"with the second moment of {stream['second_moment']}"] if "second_moment" in stream else []
    prompts = [stream["prompts"]] if "prompts" in stream else []
    spectrum = f"{stream['spectrum']} spectrum ({stream['decay']:g}), " if "spectrum" in stream else ""
    keys = " ".join([stream["source"], *prompts, "keys", *like])
    return f"{weights}{keys}, {spectrum}{stream['order']} order, {n}×{d}"


def _is_real(stream: Mapping[str, Any]) -> bool:
    """Whether a stream's weights are those of a model.

    Parameters
    ----------
    stream
        Its record.

    Returns
    -------
    bool
        False for weights that were drawn.
    """
    return stream.get("weights", SyntheticLayer.name) != SyntheticLayer.name


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


def _label(base: str, record: Mapping[str, Any], operator: str, variant: str, papers: bool) -> str:
    """The paper's settings need no mention."""
    inside = [] if papers else [f"η={record['eta']:g}, α={record['alpha']:g}"]
    inside += [variant] if variant else []
    return f"{base} + {operator}" + (f" ({', '.join(inside)})" if inside else "")


def _paper_alpha(base: str) -> float:
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


def sample_sizes(points: pd.DataFrame) -> str:
    """Host, runs, seeds and edits in words, for captions.

    Parameters
    ----------
    points
        What was drawn.

    Returns
    -------
    str
        Without a full stop.
    """
    hosts = "; ".join(points["host"].unique())
    runs, seeds = points["run"].nunique(), points["seed"].nunique()
    batch = ", ".join(str(size) for size in sorted(points["batch_size"].unique()))
    drawn = f"{runs} runs on {seeds} seed{'s' * (seeds > 1)}"
    return f"{hosts}. {drawn}, batches of {batch}, {int(points['edits'].max()):,} edits"


def experiment_rows(store: RunStore, name: str) -> pd.DataFrame:
    """Everything that was kept of a kind of experiment.

    Parameters
    ----------
    store
        Where it is kept.
    name
        Of the kind.

    Returns
    -------
    pandas.DataFrame
        One row a row, its task's fields beside it (its own columns win), and experiment, the task's name;
        and real and family, whether the layer is a model's, and its model's title, or else the host itself.
        Real layers first, then by what was done and by seed.
    """
    import pandas as pd

    rows = []
    for id, (config, found) in sorted(store.experiments(name).items(), key=_place_of_experiment):
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
        rows += [{"experiment": id} | fields | row for row in found]
    table = pd.DataFrame(rows)
    if not {"model", "host"} <= set(table):
        return table
    titles = {model: title_of(model) for model in table["model"].unique()}
    real = table["model"].map(lambda model: titles[model] is not None)
    return table.assign(real=real, family=table["model"].map(titles).where(real, table["host"]))


# What tells experiments of a kind apart to a reader: real layers come first by the names of their models.
_TOLD_BY = ("model", "spectrum", "editor", "layer", "seed")


def _place_of_experiment(kept: tuple[str, tuple[dict[str, Any], list[dict[str, Any]]]]) -> tuple[str, ...]:
    """An order of experiments that does not depend on their names."""
    id, (config, _) = kept
    return (*(str(config.get(field, "")) for field in _TOLD_BY), id)
