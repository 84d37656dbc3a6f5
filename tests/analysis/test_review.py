"""Courses, gains and costs of stored runs, by seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made import made_run

from sphere_theory.analysis.gains import gains
from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.review import (
    SIZES,
    TURNING,
    courses,
    gains_along,
    projection_costs,
    refreshed,
    timings,
)
from sphere_theory.analysis.runs import gather
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import InputError
from sphere_theory.streams.hosts import random_weight
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.sources import Synthetic, make_stream
from sphere_theory.streams.store import RunStore


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("review")) as store:
        for seed in range(3):
            made_run(store, "alphaedit", seed=seed, collapse=400.0 + 10 * seed)
            made_run(store, "alphaedit", sphere=(0.5, 0.5), seed=seed, collapse=500.0 + 5 * seed**2)
            kwargs = {"sphere": (0.5, 0.5), "options": {"basis": "current"}, "seed": seed}
            made_run(store, "alphaedit", **kwargs, collapse=700.0 + seed)
        return gather(store)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A small store of runs that were run."""
    folder = tmp_path_factory.mktemp("real")
    base = MemitSequential(ridge=5.0)
    with RunStore(folder) as store:
        for seed in range(2):
            keys = Synthetic(seed=seed).draw(50, 24).double()
            W = random_weight(16, 24, seed=seed).double()
            stream = make_stream(W, keys[:30], keys[30:], edits=30, seed=seed, record={"source": "small"})
            memory = LayerMemory(W, Synthetic(seed=seed).second_moment(24))
            for editor in (base, Sphere(base), Sphere(base, basis="current")):
                run_stream(memory, editor, stream, Measures(every=1, audits=False), store, batch=10)
    return folder


def test_courses_are_means_over_seeds(points):
    found = courses(points, SIZES)
    own = points[(points["editor"] == "alphaedit + SPHERE") & (points["edits"] == 500)]["edit_norm"]
    (row,) = found[
        (found["editor"] == "alphaedit + SPHERE") & (found["edits"] == 500) & (found["column"] == "edit_norm")
    ].to_dict("records")
    assert (row["mean"], row["low"], row["high"]) == pytest.approx(mean_interval(own.to_numpy()))
    assert row["seeds"] == 3
    assert len(found) == 3 * 20 * len(SIZES)


def test_a_column_that_was_not_measured_is_refused(points):
    with pytest.raises(InputError, match="points: expected a column nothing"):
        courses(points, ["nothing"])


def test_refreshed_spaces_are_paired_by_seed(points):
    found = refreshed(points)
    at = points[points["edits"] == 600].pivot(index="seed", columns="editor", values="efficacy")
    each = at["alphaedit + SPHERE (basis=current)"] - at["alphaedit + SPHERE"]
    (row,) = found[(found["edits"] == 600) & (found["metric"] == "efficacy")].to_dict("records")
    assert (row["gain"], row["low"], row["high"]) == pytest.approx(mean_interval(each.to_numpy()))
    assert row["current"] - row["pretrained"] == pytest.approx(row["gain"])
    assert (row["base"], row["seeds"], row["eta"], row["alpha"]) == ("alphaedit", 3, 0.5, 0.5)


def test_a_control_is_no_sphere_with_the_pretrained_space(points):
    own = points[points["editor"] == "alphaedit + SPHERE"]
    control = own.assign(operator="random subspace", editor="alphaedit + random subspace", efficacy=0.0)
    found = refreshed(pd.concat([points, control.assign(run=control["run"] + " random")]))
    pd.testing.assert_frame_equal(found, refreshed(points))


def test_without_a_refreshed_space_there_is_nothing_to_compare(points):
    with pytest.raises(InputError, match="points: expected runs of SPHERE on the same seed with and without"):
        refreshed(points[points["variant"] == ""])


def test_gains_along_are_the_gains_at_every_count(points):
    found = gains_along(points)
    assert sorted(found["edits"].unique()) == list(range(50, 1001, 50))
    expected = gains(points, at=300).reset_index(drop=True)
    pd.testing.assert_frame_equal(found[found["edits"] == 300].reset_index(drop=True), expected)
    with pytest.raises(InputError, match="points: expected runs with and without SPHERE"):
        gains_along(points, "memit")


def test_a_real_store_has_the_turn_and_the_times(real):
    with RunStore(real) as store:
        points = gather(store)
        batches = timings(store, set(points["run"]))
        (first, *_) = points["run"]
        assert set(timings(store, {first})["run"]) == {first}
    found = courses(points, TURNING)
    assert set(found["column"]) == set(TURNING)
    assert found["mean"].notna().all()
    assert len(refreshed(points)) == 3 * 3
    assert len(batches) == 3 * 3 * 2
    assert (batches["seconds_solve"] > 0).all()
    assert (batches["seconds_project"].notna() == batches["eta"].notna()).all()
    costs = projection_costs(batches)
    assert set(costs["variant"]) == {"", "basis=current"}
    assert (costs.groupby("ratio")["seeds"].unique().explode() == 2).all()


def test_times_come_in_the_order_of_the_points(tmp_path):
    with RunStore(tmp_path) as store:
        runs = {
            made_run(store, name, seed=seed) for name, seed in [("alphaedit", 0), ("memit", 1), ("memit", 0)]
        }
        found = timings(store, runs)[["base", "seed"]].drop_duplicates().to_numpy().tolist()
    assert found == [["memit", 0], ["memit", 1], ["alphaedit", 0]]


def test_a_store_without_times_is_refused(tmp_path):
    with RunStore(tmp_path) as store:
        run = made_run(store, timed=False)
        other = made_run(store, seed=1)
        said = "store: expected runs with the time of each batch, got none of 1 in"
        with pytest.raises(InputError, match=said):
            timings(store, {run})
        assert set(timings(store, {run, other})["run"]) == {other}


def _timed(seed: int, solve: list[float], project: list[float] | None) -> pd.DataFrame:
    facts = {
        "run": f"{seed}{project}",
        "host": "h",
        "base": "b",
        "settings": "{}",
        "variant": "",
        "seed": seed,
    }
    facts |= {"batch_size": 10, "planned": 30, "conditions": "", "editor": "b + SPHERE" if project else "b"}
    columns = {"seconds_solve": solve, "seconds_project": project or [np.nan] * 3, "batch": range(3)}
    return pd.DataFrame(columns).assign(**facts, eta=0.5 if project else np.nan)


def test_costs_are_those_of_the_same_batch_and_of_the_same_seed():
    runs = [
        _timed(0, [5.0, 1.0, 2.0], None),
        _timed(1, [5.0, 1.0, 2.0], None),
        _timed(0, [9.0, 1.0, 2.0], [3.0, 0.1, 0.4]),  # 0.1 and 0.2 after the first batch
        _timed(1, [9.0, 2.0, 2.0], [3.0, 0.8, 0.4]),  # 0.4 and 0.2
    ]
    projection, whole = projection_costs(pd.concat(runs)).to_dict("records")
    assert (projection["ratio"], whole["ratio"]) == ("projection", "whole stream")
    expected = mean_interval(np.array([0.15, 0.3]))
    assert (projection["mean"], projection["low"], projection["high"]) == pytest.approx(expected)
    assert (projection["solve"], projection["project"]) == pytest.approx((2, 0.4))
    expected = mean_interval(np.array([15.5 / 8 - 1, 17.2 / 8 - 1]))
    assert (whole["mean"], whole["low"], whole["high"]) == pytest.approx(expected)
    assert (whole["seeds"], whole["batches"]) == (2, 6)


def test_a_stream_that_ended_early_is_compared_batch_by_batch():
    whole, ended = _timed(0, [5.0, 1.0, 2.0], None), _timed(0, [9.0, 2.0, 2.0], [3.0, 0.1, 0.4])
    found = projection_costs(pd.concat([whole, ended[ended["batch"] < 2]]))
    (row,) = found[found["ratio"] == "whole stream"].to_dict("records")
    assert row["mean"] == pytest.approx(14.1 / 6 - 1)


def test_costs_need_a_projection():
    with pytest.raises(InputError, match="batches: expected runs with SPHERE"):
        projection_costs(_timed(0, [1.0, 1.0, 1.0], None))
