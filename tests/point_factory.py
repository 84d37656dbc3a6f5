"""Points of runs that nobody ran, as `load_points` returns them, without a store: what is chosen from."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
from run_factory import UNIFORM, made_row

from sphere_theory.study.choices import SEEDS_NEEDED
from sphere_theory.study.run_table import PROJECTED

HOST = "a host"
SEEDS = range(SEEDS_NEEDED)


def run(
    base: str = "memit-seq",
    sphere: tuple[float, float] | None = None,
    *,
    seed: int = 0,
    ridge: float = 15.0,
    planned: int = 1000,
    points: int = 10,
    kind: str = PROJECTED,
    variant: str = "",
    usual: bool = True,
    collapse: float = 500.0,
    drop: tuple[str, ...] = (),
    **changes: Any,
) -> pd.DataFrame:
    """Points of one run; `usual`: with the paper's η and α for its base editor."""
    label = base
    if sphere is not None:
        label += f" + {kind}" + ("" if usual and not variant else f" (η={sphere[0]}, α={sphere[1]}{variant})")
    eta, alpha = sphere or (math.nan, math.nan)
    known = {
        "host": HOST,
        "real": False,
        "base": base,
        "settings": json.dumps({"ridge": ridge}),
        "strength": ridge,
        "operator": kind if sphere else "",
        "eta": eta,
        "alpha": alpha,
        "variant": variant,
        "as_paper": bool(sphere) and kind == PROJECTED and usual and not variant,
        "editor": label,
        "seed": seed,
        "batch_size": 50,
        "planned": planned,
        "conditions": "float64, among 1000 edited and 100 preserved values",
        "ended": True,
        "lost_at": math.nan,
    } | changes
    rows = []
    for index in range(1, points + 1):
        edits = index * planned // points
        row = made_row(edits, collapse=collapse * (1 + 0.01 * seed), size=0.1)
        level = row["energy_change"] / UNIFORM
        row |= {"energy_level": level, "energy_step": level / index, "rank_left": max(0.0, 1 - edits / 2000)}
        rows.append({key: value for key, value in row.items() if key not in drop} | known)
    frame = pd.DataFrame(rows)
    return frame.assign(
        run=str(sorted((key, str(value)) for key, value in known.items())) + f"{ridge}{points}"
    )


def runs(*args: Any, seeds: range = SEEDS, **settings: Any) -> pd.DataFrame:
    """The same run on several seeds."""
    return together(*(run(*args, seed=seed, **settings) for seed in seeds))


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)
