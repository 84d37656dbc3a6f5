"""Forecasts: what is seen of each run, and folds that keep what they must not see apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from run_factory import made_run, made_study

from sphere_theory.errors import InputError
from sphere_theory.streams.store import RunStore
from sphere_theory.study.collapse_forecast import (
    FOLDS,
    MODELS,
    comparable,
    forecast,
    openings,
    out_of_sample,
    scores,
    usable,
)
from sphere_theory.study.run_table import load_points


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("made")) as store:
        made_study(store)
        return usable(openings(load_points(store)))


def test_the_window_is_all_that_is_seen(tmp_path):
    with RunStore(tmp_path) as store:
        name = made_run(store, collapse=400.0, size=0.2)
        (row,) = openings(load_points(store)).to_dict("records")
    assert (row["run"], row["seen"], row["last"]) == (name, 100, 1000)
    assert row["edit_norm"] == pytest.approx(np.log(0.2 * 10))
    assert row["lost"] == pytest.approx(np.log(1 - 1 / (1 + (100 / 400) ** 2)))
    assert row["collapse"] == pytest.approx(400, abs=2)


def test_runs_without_anything_to_forecast_are_left_out(tmp_path):
    with RunStore(tmp_path) as store:
        made_run(store, seed=0, collapse=60.0)  # collapsed within the window
        made_run(store, seed=1, collapse=5.0)  # never learned
        kept = made_run(store, seed=2, collapse=1e6)  # held
        assert usable(openings(load_points(store)))["run"].tolist() == [kept]


def test_the_norm_forecasts_where_the_norm_decides(runs):
    for by in FOLDS:
        table = scores(out_of_sample(runs, by=by), samples=200).set_index("model")
        assert list(table.index) == list(MODELS)
        assert (table["runs"] == 18).all()
        assert table.loc["norm", "factor"] < table.loc["count", "factor"]
        assert table.loc["norm", "against_count_high"] < 1
        assert table.loc["rank_left", "factor"] == pytest.approx(table.loc["count", "factor"])
        assert table.loc["count", "against_count_factor"] == 1
        assert (table["low"] <= table["factor"]).all()
    assert table.loc["norm", "covered"] >= 0.8


def test_a_held_out_run_has_no_say_in_its_own_forecast(runs):
    for by in FOLDS:
        before = out_of_sample(runs, by=by)
        first = runs[by].iloc[0]
        changed = runs.assign(collapse=runs["collapse"].where(runs[by] != first, 1e5))
        after = out_of_sample(changed, by=by)
        held_out = before["run"].isin(runs["run"][runs[by] == first])
        assert before["median"][held_out].equals(after["median"][held_out])
        assert not np.allclose(before["median"][~held_out], after["median"][~held_out])


def test_a_run_that_held_is_wrong_only_if_forecast_too_early(runs):
    held = runs.assign(collapse=np.where(runs.index == runs.index[0], np.inf, runs["collapse"]), last=1000.0)
    found = out_of_sample(held, by="base")
    own = found[found["run"] == runs["run"].iloc[0]]
    late = own["median"] >= 1000
    np.testing.assert_allclose(own["error"], np.where(late, 0, np.log(1000 / own["median"])))


def test_too_few_runs_are_refused(runs):
    with pytest.raises(InputError, match=r"at least 4 other runs .* got 3, of them 3 collapsed"):
        forecast(runs.iloc[:3], runs.iloc[3:])
    held = runs.assign(collapse=np.inf)
    with pytest.raises(InputError, match="got 17, of them 0 collapsed"):
        forecast(held.iloc[:17], runs.iloc[17:])
    assert out_of_sample(runs.iloc[:4], by="base").empty


def test_only_runs_of_the_same_kind_are_compared(tmp_path):
    with RunStore(tmp_path) as store:
        asked = made_run(store)
        same = made_run(store, "memit")
        made_run(store, "memit", batch=100)
        made_run(store, "memit", planned=500)
        made_run(store, "memit", shape=(8, 24))
        bare = made_run(store, "rome", every=1000)
        points = load_points(store)
    assert set(comparable(points, asked)["run"]) == {asked, same}
    with pytest.raises(InputError, match=f"got {bare}, which has none"):
        comparable(points, bare)


def test_the_asked_stream_measured_otherwise_is_not_compared(tmp_path):
    with RunStore(tmp_path) as store:
        asked = made_run(store, seed=0)
        made_run(store, seed=1)
        points = load_points(store)
    again = points[points["run"] == asked].assign(run="again")
    both = pd.concat([points, again], ignore_index=True)
    assert set(comparable(both, asked)["run"]) == set(points["run"])


def test_energies_far_below_a_thousandth_are_told_apart(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(2):
            made_run(store, seed=seed)
        points = load_points(store)
    first = points["run"] == points["run"].iloc[0]
    small = points.assign(energy_level=first.map({True: 1e-5, False: 1e-4}), R_mean=1e-5)
    found = openings(small)
    assert np.exp(found["energy_level"]).tolist() == pytest.approx([1e-5, 1e-4])
    assert np.exp(found["R_mean"]).tolist() == pytest.approx([1e-3, 1e-3])
