"""What each choice takes from a host's runs, and what it must not take."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pandas as pd
import pytest
from point_factory import HOST, SEEDS_NEEDED, runs, together
from run_factory import made_run

from sphere_theory.editing.control import KINDS
from sphere_theory.streams.store import RunStore
from sphere_theory.study.choices import POINTS_NEEDED, courses, paired, several_editors, usual
from sphere_theory.study.collapses import approaches
from sphere_theory.study.drawing import figures
from sphere_theory.study.early_warning import alarms
from sphere_theory.study.question import RunFigure
from sphere_theory.study.run_table import load_points

PAIR = together(runs(), runs(sphere=(0.5, 0.8)))
ALPHAEDIT = together(runs("alphaedit", collapse=800.0), runs("alphaedit", (0.5, 0.5), collapse=850.0))
OF_RUNS = {name: figure.choose for name, figure in figures().items() if isinstance(figure, RunFigure)}


def names(points: pd.DataFrame) -> set[str]:
    return set(points["editor"])


@pytest.mark.parametrize("name", OF_RUNS)
def test_another_hosts_runs_are_never_taken(name: str) -> None:
    choose = OF_RUNS[name]
    grid = [runs(sphere=(eta, 0.8), usual=eta == 0.5) for eta in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    turned = [runs(ridge=ridge) for ridge in (1.0, 150.0)]
    everything = together(PAIR, ALPHAEDIT, *grid, *turned, runs(sphere=(0.5, 0.8), variant="basis=current"))
    assert len(choose(everything, HOST)), "expected runs that do, or nothing is told"
    assert not len(choose(everything, "another host"))
    mixed = together(everything, everything.assign(host="another host"))
    assert set(choose(mixed, HOST)["host"]) <= {HOST}
    assert len(choose(mixed, HOST)) == len(choose(everything, HOST))


def test_courses_have_enough_points_and_seeds() -> None:
    short = runs("memit", points=POINTS_NEEDED - 1)
    few = runs("rect", seeds=range(SEEDS_NEEDED - 1))
    assert names(courses(together(PAIR, short, few), HOST)) == {"memit-seq", "memit-seq + SPHERE"}
    just = runs("memit", points=POINTS_NEEDED)
    assert "memit" in names(courses(together(PAIR, just), HOST))
    assert not len(courses(together(short, few), HOST))


def test_courses_are_of_the_largest_study_and_the_usual_settings() -> None:
    longer = runs("rome", planned=2000)
    other = runs(sphere=(0.3, 0.8), usual=False)
    control = runs(sphere=(0.5, 0.8), kind=KINDS["random"])
    chosen = courses(together(PAIR, longer, other, control, runs(ridge=1.0)), HOST)
    assert names(chosen) == {"memit-seq", "memit-seq + SPHERE"}
    assert set(chosen["settings"]) == {json.dumps({"ridge": 15.0})}
    assert set(chosen["planned"]) == {1000}


def test_pairs_share_a_seed() -> None:
    assert len(paired(PAIR, HOST)) == len(PAIR)
    apart = runs(sphere=(0.5, 0.8), seeds=range(10, 10 + SEEDS_NEEDED))
    assert not len(paired(together(runs(), apart), HOST))
    assert not len(paired(runs(), HOST))


def test_several_editors_are_two_bases_not_one_with_and_without_sphere() -> None:
    assert not len(several_editors(PAIR, HOST))
    both = together(PAIR, runs("memit"))
    assert len(several_editors(both, HOST)) == len(both)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    with RunStore(tmp_path_factory.mktemp("choices")) as store:
        for seed in range(3):
            made_run(store, seed=seed, collapse=400.0 + 10 * seed)
            made_run(store, sphere=(0.5, 0.8), seed=seed, collapse=500.0 + 5 * seed**2)
        return load_points(store)


def test_a_run_measured_twice_is_no_second_seed(points: pd.DataFrame) -> None:
    # The same edits on the same seed, measured every other time.
    again = points[points["edits"] % 100 == 0]
    both = pd.concat([again.assign(run=again["run"] + " again"), points], ignore_index=True)
    (host,) = points["host"].unique()
    assert set(paired(both, host)["run"]) == set(paired(points, host)["run"])


def test_runs_judged_among_fewer_values_do_not_stand_beside_the_others(
    folder: Any, points: pd.DataFrame
) -> None:
    with RunStore(folder) as store:
        for seed in range(3):
            for sphere in (None, (0.5, 0.8)):
                made_run(store, "memit", sphere=sphere, seed=seed, candidates=50)
        both = pd.concat([points, load_points(store)], ignore_index=True)
    (host,) = both["host"].unique()
    assert set(paired(both, host)["run"]) == set(paired(points, host)["run"])


def test_an_editor_that_never_learned_is_no_second_one(folder: Any) -> None:
    with RunStore(folder) as store:
        make = partial(made_run, store)
        for seed in range(3):
            make("memit", seed=seed, collapse=400.0 + 10 * seed)
            make("alphaedit", seed=seed, collapse=1.0)
        points = load_points(store)
        (host,) = points["host"].unique()
        assert not len(several_editors(points, host))
        for seed in range(3):
            make("memit-seq", seed=seed, collapse=600.0)
        points = load_points(store)
    chosen = several_editors(points, host)
    assert set(chosen["base"]) == {"memit", "memit-seq", "alphaedit"}
    assert set(alarms(approaches(chosen), by="base")["base"]) == {"memit", "memit-seq"}


def test_of_several_settings_the_commonest_are_chosen(folder: Any) -> None:
    with RunStore(folder) as store:
        for seed in range(3):
            made_run(store, seed=seed)
            made_run(store, seed=seed, sphere=(0.5, 0.8))
            made_run(store, seed=seed, sphere=(0.1, 0.8))
            made_run(store, seed=seed, sphere=(0.5, 0.8), control="random")
            made_run(store, seed=seed, settings={"ridge": 1.0})
        chosen = usual(load_points(store))
    assert names(chosen) == {"memit-seq", "memit-seq + SPHERE"}
    assert chosen["settings"].nunique() == 1
