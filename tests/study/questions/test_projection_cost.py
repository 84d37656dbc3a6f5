"""Times of batches, and what the projection costs of them: of the same batch and of the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from run_factory import made_run

from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import InputError
from sphere_theory.hosts.base import StreamSpec
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.store import RunStore
from sphere_theory.study.question import Material
from sphere_theory.study.questions.projection_cost import QUESTION, projection_costs, timings
from sphere_theory.study.run_table import load_points
from sphere_theory.study.statistics import mean_interval


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as opened:
        yield opened


def test_times_come_in_the_order_of_the_points(store):
    runs = {made_run(store, name, seed=seed) for name, seed in [("alphaedit", 0), ("memit", 1), ("memit", 0)]}
    found = timings(store, runs)[["base", "seed"]].drop_duplicates().to_numpy().tolist()
    assert found == [["memit", 0], ["memit", 1], ["alphaedit", 0]]


def test_a_store_without_times_is_refused(store):
    run = made_run(store, timed=False)
    other = made_run(store, seed=1)
    said = "store: expected runs with the time of each batch, got none of 1 in"
    with pytest.raises(InputError, match=said):
        timings(store, {run})
    assert set(timings(store, {run, other})["run"]) == {other}


def test_a_run_that_was_run_has_its_times(store, tmp_path):
    base = MemitSequential(ridge=5.0)
    for seed in range(2):
        memory, edits = SyntheticLayer((16, 24)).make(StreamSpec(30, seed=seed), tmp_path)
        for editor in (base, Sphere(base), Sphere(base, basis="current")):
            run_stream(memory, editor, edits, Measures(every=1, audits=False), store, batch=10)
    points = load_points(store)
    batches = timings(store, set(points["run"]))
    (first, *_) = points["run"]
    assert set(timings(store, {first})["run"]) == {first}
    assert len(batches) == 3 * 3 * 2
    assert (batches["seconds_solve"] > 0).all()
    assert (batches["seconds_project"].notna() == batches["eta"].notna()).all()
    costs = projection_costs(batches)
    assert set(costs["variant"]) == {"", "basis=current"}
    assert (costs.groupby("ratio")["seeds"].unique().explode() == 2).all()


def _timed(seed: int, solve: list[float], project: list[float] | None) -> pd.DataFrame:
    facts = {
        "run": f"{seed}{project}",
        "host": "h",
        "base": "b",
        "settings": "{}",
        "operator": "SPHERE" if project else "",
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


def test_costs_are_drawn_in_percent():
    rows = [
        {
            "ratio": ratio,
            "base": base,
            "editor": f"{base} + SPHERE",
            "seeds": 3,
            "mean": mean,
            "low": mean / 2,
        }
        | {"high": 2 * mean, "solve": 0.02, "project": 0.0015}
        for base, mean in (("memit-seq", 0.1), ("alphaedit", 0.3))
        for ratio in ("projection", "whole stream")
    ]
    figure = QUESTION.figures["projection-cost"].draw({"costs": pd.DataFrame(rows)}, "about")
    left, right = figure.axes
    for axes in (left, right):
        marks = axes.collections[-1].get_offsets()
        np.testing.assert_allclose(marks, [[10, 0], [30, 1]])
    bars = [line.get_segments()[0][:, 0] for line in left.collections[:2]]
    np.testing.assert_allclose(bars, [[5, 20], [15, 60]])
    assert [text.get_text() for text in left.get_yticklabels()] == [
        "memit-seq + SPHERE",
        "alphaedit + SPHERE",
    ]
    assert {text.get_text() for text in left.texts} == {"1.5 of 20 ms"}
    assert "(%)" in left.get_xlabel()


def test_the_answer_has_the_ratio_of_each_editor_with_its_interval(store):
    for seed in range(3):
        made_run(store, seed=seed)
        made_run(store, seed=seed, sphere=(0.5, 0.8))
    (line,) = QUESTION.answer(Material(store))
    mean, low, high = mean_interval(np.array([0.10, 0.11, 0.12]))
    assert line.endswith(f"over the solve of the same batch: memit-seq {mean:.1%} [{low:.1%}, {high:.1%}].")
