"""Stores with runs that nobody ran: every number is a formula, so that what is made of it is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sphere_theory.editing.control import Control
from sphere_theory.editing.registry import find_editor
from sphere_theory.editing.sphere import Sphere
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.store import RunStore

UNIFORM = 1000.0
N, D = 16, 24


def made_row(
    edits: int, *, collapse: float, size: float, energy: float = 0.01, step: float = 0.1
) -> dict[str, Any]:
    """Metrics fall through 0.5 at `collapse`; the edit grows as `size`·√edits, HE as `energy`·edits."""
    shift = energy * edits
    gap = 1 - edits / collapse
    return {
        "edits": edits,
        "in_force": edits,
        "energy": UNIFORM + shift,
        "energy_uniform": 1 + shift / UNIFORM,
        "energy_change": shift,
        "step_norm": step,
        "edit_norm": size * math.sqrt(edits),
        "row_norm_growth": size * edits / 1000,
        "condition": 10 + edits * size,
        "singular_drift": size * edits / 500,
        "R_mean": 1 + math.sin(edits),
        "R_max": 2 + math.cos(edits),
        "principal_share": 0.1 + 0.01 * math.sin(3 * edits),
        "principal_overlap": 1 - 0.1 * (1 - math.exp(-size * edits / 100)),
        "principal_angle": math.pi / 2 * (1 - math.exp(-size * edits / 100)),
        "principal_rank": 4 + edits // 500,
        "efficacy": 1 / (1 + (edits / collapse) ** 4),
        "generalisation": 0.9 / (1 + (edits / collapse) ** 4),
        "specificity": 1 / (1 + (edits / collapse) ** 2),
        "path_bound": shift * 50,
        "total_energy_change": shift,
        "total_first_order_error": edits / collapse / 5,
        "total_smallest_gap": gap,
        "total_largest_turn": 1 - gap,
        "total_sign": 1 if gap > 0.5 else 0,
        "total_unconditional_tightness": 1e-7,
        "total_gradient_tightness": 1e-4,
        "total_certified_tightness": 1e-6 if gap > 0 else math.nan,
        "total_unconditional": "holds",
        "total_gradient": "holds",
        "total_triangle": "violated",
        "total_certified": "holds" if gap > 0 else "not applicable",
        "step_unconditional": "holds",
        "step_gradient": "holds",
        "step_triangle": "holds",
        "step_certified": "holds" if gap > 0.5 else "not applicable",
        "step_first_order_error": edits / collapse / 50,
    }


def made_seconds(batch: int, seed: int, *, projected: bool) -> dict[str, float]:
    """The projection takes 10% of the solve on seed 0, 11% on seed 1, …"""
    solve = 0.1 + 0.01 * batch
    seconds = {"solve": solve, "measure": 0.5}
    return seconds | ({"project": solve * (10 + seed) / 100} if projected else {})


def made_run(
    store: RunStore,
    base: str = "memit-seq",
    *,
    sphere: tuple[float, float] | None = None,
    control: str | None = None,
    seed: int = 0,
    planned: int = 1000,
    batch: int = 50,
    every: int = 1,
    status: str = "complete",
    shape: tuple[int, int] = (N, D),
    options: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    timed: bool = True,
    candidates: int = 1000,
    **row: float,
) -> str:
    """One run; the name it got."""
    editor = find_editor(base, **settings or {})
    if sphere is not None and control is not None:
        editor = Control(editor, control, *sphere, **options or {})
    elif sphere is not None:
        editor = Sphere(editor, eta=sphere[0], alpha=sphere[1], **options or {})
    stream = {"source": "recorded", "prompts": "made", "order": "random", "noise": 0.0}
    config = {
        "editor": editor.record(),
        "stream": stream | {"seed": seed, "edits": planned, "facts": planned, "sha256": "0"},
        "shape": list(shape),
        "batch": batch,
        "dtype": "float64",
        "measures": Measures(candidates=candidates).record(),
    }
    info = store.begin(config, {"package": "0", "source": "made", "torch": "0"})
    for index in range(planned // batch):
        values = made_row((index + 1) * batch, **{"collapse": 500.0, "size": 0.1} | row)
        if (index + 1) % every:
            values = {key: values[key] for key in ("edits", "energy", "energy_uniform", "energy_change")}
        seconds = made_seconds(index, seed, projected=sphere is not None) if timed else {}
        store.record(info.id, index, values, seconds)
    if status != "unfinished":
        store.finish(info.id, status)
    return info.id


def made_study(store: RunStore, seeds: int = 3) -> list[str]:
    """Three editors, with and without SPHERE, on some seeds: the larger the edits, the earlier the end."""
    names = []
    for k, (base, alpha) in enumerate((("memit-seq", 0.8), ("memit", 0.8), ("alphaedit", 0.5))):
        for seed in range(seeds):
            # Not exactly a power law, so that a spread is left.
            luck = float(np.random.default_rng(100 * k + seed).normal(scale=0.05))
            size = 0.1 / (1 + k)
            kwargs = {"seed": seed, "size": size, "collapse": 300.0 * (1 + k) * math.exp(luck)}
            names.append(made_run(store, base, **kwargs))
            names.append(made_run(store, base, sphere=(0.5, alpha), **kwargs | {"collapse": 330.0 * (1 + k)}))
    return names
