"""Ranks, areas and intervals against scipy's and against literal resampling."""

from __future__ import annotations

import numpy as np
import pytest
from run_factory import made_run
from scipy import stats

from sphere_theory.errors import InputError
from sphere_theory.streams.store import RunStore
from sphere_theory.study import statistics
from sphere_theory.study.run_table import load_points


def test_weighted_ranks_are_those_of_the_repeated_points():
    values, weights = np.array([3.0, 1.0, 3.0, 2.0, 5.0]), np.array([2, 1, 1, 0, 3])
    (codes,) = statistics.dense_codes(values[:, None]).T
    ranks = statistics.weighted_ranks(codes, weights)
    repeated = stats.rankdata(np.repeat(values, weights))
    np.testing.assert_array_equal(np.repeat(ranks, weights), repeated)


def test_the_area_is_the_share_of_pairs_in_order():
    generator = np.random.default_rng(0)
    values, event = generator.integers(5, size=40), generator.random(40) < 0.4
    weights = generator.integers(3, size=40)
    (codes,) = statistics.dense_codes(values[:, None].astype(float)).T
    wide, kind = np.repeat(values, weights), np.repeat(event, weights)
    pairs = np.sign(wide[kind][:, None] - wide[~kind][None, :])
    assert statistics.area_under_curve(codes, event, weights) == pytest.approx((pairs.mean() + 1) / 2)
    assert np.isnan(statistics.area_under_curve(codes, np.ones(40, dtype=bool), weights))


def test_an_interval_of_too_few_defined_values_is_none():
    assert statistics.interval(np.arange(101.0), 0.9) == pytest.approx((5, 95))
    assert np.isnan(statistics.interval(np.array([1.0, np.nan, np.nan]))).all()


def test_an_interval_of_a_mean_is_students():
    values = np.array([0.1, 0.4, 0.35])
    low, high = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert statistics.mean_interval(values) == pytest.approx((values.mean(), low, high))
    assert np.isnan(statistics.mean_interval(values[:1])[1:]).all()


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("means")) as store:
        for seed in range(3):
            made_run(store, "alphaedit", seed=seed, size=0.1 + 0.01 * seed)
            made_run(store, "alphaedit", sphere=(0.5, 0.5), seed=seed, size=0.05 + 0.01 * seed)
        return load_points(store)


def test_means_along_streams_are_over_seeds(points):
    found = statistics.means_along(points, ("edit_norm", "step_norm"))
    own = points[points["as_paper"] & (points["edits"] == 500)]["edit_norm"]
    projected = found[(found["operator"] == "SPHERE") & (found["edits"] == 500)]
    (row,) = projected[projected["column"] == "edit_norm"].to_dict("records")
    expected = statistics.mean_interval(own.to_numpy())
    assert (row["mean"], row["low"], row["high"]) == pytest.approx(expected)
    assert row["seeds"] == 3
    assert len(found) == 2 * 20 * 2


def test_a_column_that_was_not_measured_is_refused(points):
    with pytest.raises(InputError, match="points: expected a column nothing"):
        statistics.means_along(points, ["nothing"])
