"""Directions of variance: the figure shows the means of the rows beside chance, and findings say the same."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_experiments import stored_rows

from sphere_theory.experiments.energy_directions import SPACES, EnergyDirections
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.store import RunStore
from sphere_theory.study.markdown import number, span
from sphere_theory.study.question import Material
from sphere_theory.study.questions.variance import QUESTION
from sphere_theory.study.statistics import mean_interval

SMALL = {"batch": 6, "batches": 2, "threshold": 0.5}


@pytest.fixture(scope="module")
def rows(shared_folder):
    tasks = [
        EnergyDirections(SyntheticLayer((16, 24), source), seed, **SMALL)
        for source in ("clustered", "gaussian")
        for seed in range(2)
    ]
    return stored_rows(tasks, shared_folder, real="clustered")


def _marks(axes, name):
    (line,) = [line for line in axes.lines if line.get_gid() == name]
    return line


def test_directions_show_means_over_layers_beside_chance(rows):
    one = QUESTION.figures["energy-directions"]
    figure = one.draw(one.data(rows), "about")
    shares, explained, *left = figure.axes
    assert [text.get_text() for text in shares.get_yticklabels()] == list(SPACES.values())
    gradient = rows[rows["kind"] == "gradient"]
    for group, own in gradient.groupby(np.where(gradient["real"], "MiniLM", gradient["host"])):
        means = [mean_interval(own[own["space"] == name]["share"].to_numpy())[0] for name in SPACES]
        np.testing.assert_allclose(_marks(shares, group).get_xdata(), means)
    real = gradient[gradient["real"]]
    chance = (real["rank"] / real["directions"]).groupby(real["space"]).mean()
    np.testing.assert_allclose(_marks(shares, "chance").get_xdata(), chance[list(SPACES)])
    model = rows[(rows["kind"] == "model") & rows["real"]]
    expected = model.groupby("part")["cosine"].mean()[["mean", "covariance", "both"]]
    np.testing.assert_allclose(_marks(explained, "MiniLM").get_xdata(), expected)
    edit = rows[(rows["kind"] == "edit") & rows["real"]]
    assert [axes.get_title(loc="left") for axes in left] == list(dict.fromkeys(edit["edit"]))
    for axes in left:
        own = edit[edit["edit"] == axes.get_title(loc="left")]
        for column, gid in (("change_left", "MiniLM"), ("change_shrunk", "shrunk")):
            logs = np.log(own[column]).groupby([own["space"], own["host"]]).mean().groupby("space").mean()
            np.testing.assert_allclose(_marks(axes, gid).get_xdata(), np.exp(logs[list(SPACES)]))
        assert axes.get_xscale() == "log"
    assert "2 MiniLM layers" in figure.get_supxlabel()


def test_without_real_layers_chance_is_that_of_the_others(rows):
    one = QUESTION.figures["energy-directions"]
    synthetic = rows[~rows["real"]]
    shares, *_ = one.draw(one.data(synthetic), "about").axes
    gradient = synthetic[synthetic["kind"] == "gradient"]
    chance = (gradient["rank"] / gradient["directions"]).groupby(gradient["space"]).mean()
    np.testing.assert_allclose(_marks(shares, "chance").get_xdata(), chance[list(SPACES)])


def test_the_answer_says_what_the_rows_say(rows, monkeypatch, tmp_path):
    monkeypatch.setattr(Material, "rows", lambda self, experiment: rows)
    with RunStore(tmp_path) as store:
        lines = list(QUESTION.answer(Material(store)))
    assert [line.split(", ")[1] for line in lines[::4]] == [
        "MiniLM layers (intervals over layers and seeds):",
        "synthetic layers (intervals over layers and seeds):",
    ]
    real = rows[rows["real"]]
    for space, label in SPACES.items():
        own = real[(real["kind"] == "gradient") & (real["space"] == space)]
        chance = number((own["rank"] / own["directions"]).mean())
        assert f"| {label} | {span(mean_interval(own['share'].to_numpy()))} | {chance} |" in lines[1]
    for edit in ("memit-seq", "alphaedit", "ft"):
        own = real[(real["kind"] == "edit") & (real["edit"] == edit) & (real["space"] == "principal")]
        each = np.log(own.groupby("host")[["change_left", "change_shrunk"]].mean())
        left, shrunk = (span(np.exp(mean_interval(each[column].to_numpy()))) for column in each)
        assert f"| {edit} | {left} | {shrunk} |" in lines[3]


def test_a_store_without_rows_says_nothing(tmp_path):
    with RunStore(tmp_path) as store:
        assert list(QUESTION.answer(Material(store))) == []


def test_every_layer_is_measured_and_one_if_quick():
    full, quick = QUESTION.experiments(False), QUESTION.experiments(True)
    assert [task.host for task in full[:6]] == list(MiniLM.layers())
    assert [task.seed for task in full[6:]] == [0, 1, 2]
    assert [task.host for task in quick if isinstance(task.host, MiniLM)] == [MiniLM(3)]
