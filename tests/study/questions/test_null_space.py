"""Two spaces: every layer has its curve and thresholds, edits stand beside chance, findings say the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_experiments import stored_rows

from sphere_theory.experiments.space_overlap import SpaceOverlap
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.store import RunStore
from sphere_theory.study.markdown import judged, span
from sphere_theory.study.question import Material
from sphere_theory.study.questions.null_space import QUESTION
from sphere_theory.study.statistics import mean_interval

SMALL = {"batch": 6, "batches": 2, "thresholds": (1e-9, 0.5)}


@pytest.fixture(scope="module")
def rows(shared_folder):
    tasks = [
        SpaceOverlap(SyntheticLayer((16, 24), source), seed, **SMALL)
        for source in ("clustered", "gaussian")
        for seed in range(2)
    ]
    return stored_rows(tasks, shared_folder, real="clustered")


def _cells(lines):
    """Of the rows of all tables."""
    text = "\n".join(lines).splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text if line.startswith("|")]


def test_the_null_space_has_a_curve_a_layer_and_its_thresholds(rows):
    one = QUESTION.figures["null-space"]
    share, edits = one.draw(one.data(rows), "about").axes
    for label, seed in (("MiniLM layer 1", 1), ("gaussian keys, power spectrum", 0)):
        own = rows[(rows["kind"] == "curve") & (rows["host"] == label) & (rows["seed"] == seed)]
        (line,) = [line for line in share.lines if line.get_label() == f"{label}, seed {seed}"]
        np.testing.assert_array_equal(line.get_xydata(), own[["chance", "inside"]])
    (marks,) = [one for one in share.collections if one.get_label() == "C0 < 0.5"]
    own = rows[(rows["kind"] == "threshold") & (rows["threshold"] == 0.5)]
    np.testing.assert_array_equal(marks.get_offsets(), own[["chance", "inside"]])
    assert [text.get_text() for text in edits.get_yticklabels()] == ["memit-seq", "alphaedit, C0 < 0.5"]
    own = rows[(rows["kind"] == "edit") & rows["real"]]
    expected = own.groupby("edit")["edit_inside"].mean()[["memit-seq", "alphaedit"]]
    (means,) = [line for line in edits.lines if line.get_gid() == "MiniLM"]
    np.testing.assert_allclose(means.get_xdata(), expected)
    drawn = [line for line in edits.lines if line.get_gid() == "chance"]
    expected = own.groupby("edit")["chance"].mean()[["memit-seq", "alphaedit"]]
    np.testing.assert_allclose(drawn[0].get_xdata(), expected)


def test_thresholds_are_compared_with_chance(rows, monkeypatch, tmp_path):
    monkeypatch.setattr(Material, "rows", lambda self, experiment: rows)
    with RunStore(tmp_path) as store:
        found = _cells(QUESTION.answer(Material(store)))[2:]
    # The other threshold leaves no null space.
    assert [row[:3] for row in found] == [["MiniLM", "0.5", "2"], ["synthetic", "0.5", "2"]]
    own = rows[(rows["kind"] == "threshold") & (rows["threshold"] == 0.5)]
    for real, row in zip((True, False), found, strict=True):
        same = own[own["real"] == real]
        beyond = mean_interval((same["inside"] - same["chance"]).to_numpy())
        assert row[3:5] == [span(mean_interval(same["inside"].to_numpy())), span(beyond, "+.3f")]
        words = ("more than chance", "less than chance", "not told from chance")
        assert row[5] == judged(*beyond[1:], *words)


def test_one_layer_tells_nothing_of_chance(tmp_path):
    task = SpaceOverlap(SyntheticLayer((12, 40)), thresholds=(0.5,), batch=10, batches=1)
    with RunStore(tmp_path) as store:
        store.keep_experiment(task.name, task.config(), task.rows(tmp_path))
        row = _cells(QUESTION.answer(Material(store)))[-1]
    assert row[2] == "1"
    assert row[-1] == "–"
    words = ("above", "below", "neither")
    assert [judged(*ends, *words) for ends in ((1, 2), (-2, -1), (-1, 1))] == list(words)
    assert judged(math.nan, math.nan, *words) == "–"


def test_a_store_without_rows_says_nothing(tmp_path):
    with RunStore(tmp_path) as store:
        assert list(QUESTION.answer(Material(store))) == []


def test_every_layer_is_measured_and_one_if_quick():
    full, quick = QUESTION.experiments(False), QUESTION.experiments(True)
    assert [task.host for task in full[:6]] == list(MiniLM.layers())
    assert [task.seed for task in full[6:]] == [0, 1, 2]
    assert [task.host for task in quick if isinstance(task.host, MiniLM)] == [MiniLM(3)]
