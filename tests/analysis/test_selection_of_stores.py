"""Which runs of a store a figure or a finding is about: each seed once, editors that learned."""

from __future__ import annotations

import pandas as pd
import pytest
from made import made_run

from sphere_theory.analysis.gains import gains
from sphere_theory.analysis.runs import gather
from sphere_theory.analysis.selection import grids_of, paired, several_editors
from sphere_theory.analysis.warning import alarms, approaches
from sphere_theory.streams.store import RunStore


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("selection")) as store:
        for seed in range(3):
            made_run(store, seed=seed, collapse=400.0 + 10 * seed)
            for alpha in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
                made_run(store, sphere=(0.5, alpha), seed=seed, collapse=500.0 + 5 * seed**2)
        return gather(store)


@pytest.mark.parametrize("choose", [paired, grids_of])
def test_a_run_measured_twice_is_no_second_seed(points, choose):
    # The same edits on the same seed, measured every other time.
    again = points[points["edits"] % 100 == 0]
    both = pd.concat([again.assign(run=again["run"] + " again"), points], ignore_index=True)
    (host,) = points["host"].unique()
    assert set(choose(both, host)["run"]) == set(choose(points, host)["run"])


def test_gains_of_runs_measured_twice_have_the_same_interval(points):
    (host,) = points["host"].unique()
    both = pd.concat([points, points.assign(run=points["run"] + " again")], ignore_index=True)
    expected = gains(paired(points, host))
    assert set(expected["seeds"]) == {3}
    pd.testing.assert_frame_equal(gains(paired(both, host)), expected)


@pytest.mark.parametrize("choose", [paired, grids_of])
def test_runs_judged_among_fewer_values_do_not_stand_beside_the_others(tmp_path, points, choose):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            for sphere in (None, (0.5, 0.8)):
                made_run(store, "memit", sphere=sphere, seed=seed, candidates=50)
        both = pd.concat([points, gather(store)], ignore_index=True)
    (host,) = both["host"].unique()
    assert set(choose(both, host)["run"]) == set(choose(points, host)["run"])


def test_an_editor_that_never_learned_is_no_second_one(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            made_run(store, "memit", seed=seed, collapse=400.0 + 10 * seed)
            made_run(store, "alphaedit", seed=seed, collapse=1.0)
        points = gather(store)
        (host,) = points["host"].unique()
        assert not len(several_editors(points, host))
        for seed in range(3):
            made_run(store, "memit-seq", seed=seed, collapse=600.0)
        points = gather(store)
    chosen = several_editors(points, host)
    assert set(chosen["base"]) == {"memit", "memit-seq", "alphaedit"}
    assert set(alarms(approaches(chosen), by="base")["base"]) == {"memit", "memit-seq"}
