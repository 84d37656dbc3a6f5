"""What each choice takes from a host's runs, and what it must not take."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest
from made import UNIFORM, made_row

from sphere_theory.analysis import selection
from sphere_theory.analysis.runs import PROJECTED
from sphere_theory.analysis.selection import GRID_NEEDED, POINTS_NEEDED, SEEDS_NEEDED, STEPS_NEEDED
from sphere_theory.editing.control import KINDS

HOST = "a host"
SEEDS = range(SEEDS_NEEDED)
CHOICES = [
    selection.courses,
    selection.paired,
    selection.several_editors,
    selection.forecastable,
    selection.grids_of,
    selection.fronts,
    selection.audited,
    selection.step_sizes,
    selection.refreshing,
    selection.several_seeds,
]


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
    """Points of one run, as `gather` returns them."""
    label = base
    if sphere is not None:
        label += f" + {kind}" + ("" if usual and not variant else f" (η={sphere[0]}, α={sphere[1]}{variant})")
    eta, alpha = sphere or (math.nan, math.nan)
    known = {
        "host": HOST,
        "base": base,
        "settings": json.dumps({"ridge": ridge}),
        "operator": kind if sphere else "",
        "eta": eta,
        "alpha": alpha,
        "variant": variant,
        "editor": label,
        "seed": seed,
        "batch_size": 50,
        "planned": planned,
        "conditions": "float64, among 1000 edited and 100 preserved values",
        "status": "complete",
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
    return together(*(run(*args, seed=seed, **settings) for seed in seeds))


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


PAIR = together(runs(), runs(sphere=(0.5, 0.8)))
ALPHAEDIT = together(runs("alphaedit", collapse=800.0), runs("alphaedit", (0.5, 0.5), collapse=850.0))


def names(points: pd.DataFrame) -> set[str]:
    return set(points["editor"])


@pytest.mark.parametrize("choose", CHOICES)
def test_another_hosts_runs_are_never_taken(choose):
    everything = together(PAIR, ALPHAEDIT, *_grid(), runs(sphere=(0.5, 0.8), variant="basis=current"))
    assert not len(choose(everything, "another host"))
    mixed = together(everything, everything.assign(host="another host"))
    assert set(choose(mixed, HOST)["host"]) <= {HOST}
    assert len(choose(mixed, HOST)) == len(choose(everything, HOST))


def test_courses_have_enough_points_and_seeds():
    short = runs("memit", points=POINTS_NEEDED - 1)
    few = runs("rect", seeds=range(SEEDS_NEEDED - 1))
    assert names(selection.courses(together(PAIR, short, few), HOST)) == {"memit-seq", "memit-seq + SPHERE"}
    just = runs("memit", points=POINTS_NEEDED)
    assert "memit" in names(selection.courses(together(PAIR, just), HOST))
    assert not len(selection.courses(together(short, few), HOST))


def test_courses_are_of_the_largest_study_and_the_usual_settings():
    longer = runs("rome", planned=2000)
    other = runs(sphere=(0.3, 0.8), usual=False)
    control = runs(sphere=(0.5, 0.8), kind=KINDS["random"])
    chosen = selection.courses(together(PAIR, longer, other, control, runs(ridge=1.0)), HOST)
    assert names(chosen) == {"memit-seq", "memit-seq + SPHERE"}
    assert set(chosen["settings"]) == {json.dumps({"ridge": 15.0})}
    assert set(chosen["planned"]) == {1000}


def test_pairs_share_a_seed():
    assert len(selection.paired(PAIR, HOST)) == len(PAIR)
    apart = runs(sphere=(0.5, 0.8), seeds=range(10, 10 + SEEDS_NEEDED))
    assert not len(selection.paired(together(runs(), apart), HOST))
    assert not len(selection.paired(runs(), HOST))


def test_several_editors_are_two_bases_not_one_with_and_without_sphere():
    assert not len(selection.several_editors(PAIR, HOST))
    both = together(PAIR, runs("memit"))
    assert len(selection.several_editors(both, HOST)) == len(both)


def test_forecasts_need_collapses_of_several_editors():
    both = together(PAIR, ALPHAEDIT)
    assert len(selection.forecastable(both, HOST)) == len(both)
    held = together(PAIR, runs("memit")).assign(efficacy=1.0, specificity=1.0)
    assert not len(selection.forecastable(held, HOST))


def _grid(count: int = GRID_NEEDED) -> list[pd.DataFrame]:
    etas = [round(0.1 + 0.1 * k, 1) for k in range(count)]
    return [runs(), *(runs(sphere=(eta, 0.8), usual=eta == 0.5) for eta in etas)]


def test_a_grid_has_enough_pairs_of_sphere_itself():
    assert len(selection.grids_of(together(*_grid()), HOST)) == len(together(*_grid()))
    small = _grid(GRID_NEEDED - 1)
    assert not len(selection.grids_of(together(*small), HOST))
    # Neither a control, nor what too few seeds have, is one more pair.
    control = runs(sphere=(0.9, 0.8), kind=KINDS["random"])
    rare = runs(sphere=(0.9, 0.8), usual=False, seeds=range(SEEDS_NEEDED - 1))
    assert not len(selection.grids_of(together(*small, control, rare), HOST))


def test_a_front_needs_another_strength():
    assert not len(selection.fronts(together(*_grid()), HOST))
    turned = together(*_grid(), runs(ridge=150.0))
    assert len(selection.fronts(turned, HOST)) == len(turned)
    assert not len(selection.fronts(together(*_grid(), runs("memit", ridge=150.0)), HOST))


def test_audited_are_the_longest_courses_with_a_path_bound():
    longest = runs("memit", planned=4000, points=20)
    unsure = runs("rect", planned=8000, points=20, drop=("path_bound",))
    chosen = selection.audited(together(longest, unsure), HOST)
    assert names(chosen) == {"memit"}
    without = PAIR.drop(columns=["total_sign"])
    assert not len(selection.audited(without, HOST))
    assert not len(selection.step_sizes(without, HOST))


def test_step_sizes_need_several_strengths_of_one_editor():
    strengths = [15.0 * 100**k for k in range(STEPS_NEEDED)]
    turned = together(*(runs(ridge=ridge) for ridge in strengths))
    assert len(selection.step_sizes(turned, HOST)) == len(turned)
    assert not len(selection.step_sizes(turned[turned["settings"] != json.dumps({"ridge": 15.0})], HOST))
    short = together(*(runs(ridge=ridge, planned=400) for ridge in strengths))
    # Of 1,000 edits and of 2,000 together, but not of 400.
    both = together(turned, short, runs(ridge=15.0, planned=2000), runs(sphere=(0.3, 0.8), usual=False))
    chosen = selection.step_sizes(both, HOST)
    assert set(chosen["planned"]) == {1000, 2000}
    assert names(chosen) == {"memit-seq"}
    few = together(*(runs(ridge=ridge, seeds=range(SEEDS_NEEDED - 1)) for ridge in strengths))
    assert not len(selection.step_sizes(few, HOST))


def test_refreshing_takes_both_spaces_of_the_same_settings_alone():
    assert not len(selection.refreshing(PAIR, HOST))
    current = runs(sphere=(0.5, 0.8), variant="basis=current")
    others = together(
        runs(ridge=1.0), runs(sphere=(0.5, 0.8), ridge=1.0), runs(sphere=(0.3, 0.8), usual=False)
    )
    chosen = selection.refreshing(together(PAIR, current, others, runs("memit")), HOST)
    assert set(chosen["run"]) == set(together(PAIR, current)["run"])


def test_several_seeds_are_of_alphaedit():
    assert not len(selection.several_seeds(PAIR, HOST))
    assert len(selection.several_seeds(together(PAIR, ALPHAEDIT), HOST))
    assert not len(selection.several_seeds(together(PAIR, runs("alphaedit")), HOST))
