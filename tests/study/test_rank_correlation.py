"""Correlations against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from run_factory import made_run, made_study
from scipy import stats

from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.streams.store import RunStore
from sphere_theory.study.collapses import collapses
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.rank_correlation import KINDS, PHASES, correlations
from sphere_theory.study.run_table import load_points


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("made")) as store:
        made_study(store, seeds=2)
        return load_points(store)


@pytest.fixture(scope="module")
def found(points):
    return correlations(points, samples=50)


def _value(found, **where):
    for key, value in where.items():
        found = found[found[key] == value]
    (row,) = found.to_dict("records")
    return row


def test_pooled_values_are_scipys(points, found):
    for metric in METRICS:
        for predictor in ("energy_level", "R_mean"):
            row = _value(found, phase="overall", metric=metric, predictor=predictor, kind="pooled")
            assert row["value"] == pytest.approx(stats.spearmanr(points[predictor], points[metric])[0])
            assert (row["runs"], row["points"], row["clusters"]) == (12, len(points), 12)
            assert row["low"] <= row["value"] <= row["high"]


def test_values_given_the_edit_count_are_those_of_what_ranks_leave(points, found):
    ranks = points[["edit_norm", "specificity", "edits"]].rank()
    line = np.column_stack([np.ones(len(ranks)), ranks["edits"]])
    left = [
        ranks[name] - line @ np.linalg.lstsq(line, ranks[name], rcond=None)[0]
        for name in ("edit_norm", "specificity")
    ]
    row = _value(found, phase="overall", metric="specificity", predictor="edit_norm", kind="given_edits")
    assert row["value"] == pytest.approx(np.corrcoef(*left)[0, 1])
    # In every run the energy is a function of the edit count: nothing is left of it.
    row = _value(found, phase="overall", metric="specificity", predictor="energy_level", kind="given_edits")
    assert np.isnan(row["value"])


def test_values_within_runs_are_means_over_runs(points, found):
    each = [stats.spearmanr(run["R_max"], run["efficacy"])[0] for _, run in points.groupby("run")]
    row = _value(found, phase="overall", metric="efficacy", predictor="R_max", kind="within")
    assert row["value"] == pytest.approx(np.mean(each))


def test_before_the_collapse_there_are_only_points_before_it(points, found):
    ends = collapses(points).set_index("run")["collapse"]
    early = points[points["edits"] < points["run"].map(ends)]
    row = _value(found, phase="before_collapse", metric="efficacy", predictor="edit_norm", kind="pooled")
    assert row["points"] == len(early) < len(points)
    assert row["value"] == pytest.approx(stats.spearmanr(early["edit_norm"], early["efficacy"])[0])


def test_every_pair_has_a_row_and_the_same_seed_the_same_numbers(points, found):
    assert len(found) == len(PHASES) * len(KINDS) * len(METRICS) * len(PREDICTORS)
    assert found.equals(correlations(points, samples=50))
    assert not found.equals(correlations(points, samples=50, seed=1))


def test_editors_as_clusters_leave_wider_intervals(points):
    width = {}
    for cluster in ("run", "base"):
        found = correlations(points, samples=200, cluster=cluster)
        row = _value(found, phase="overall", metric="specificity", predictor="edit_norm", kind="pooled")
        width[cluster] = row["high"] - row["low"]
    assert width["base"] > width["run"]


def test_wrong_use_is_refused(points, tmp_path):
    with pytest.raises(InputError, match="cluster: expected"):
        correlations(points, cluster="editor")
    with RunStore(tmp_path) as store:
        made_run(store)
        with pytest.raises(InputError, match="at least two runs, got 1"):
            correlations(load_points(store))
