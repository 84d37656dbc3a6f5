"""How far keys are from orthonormal, and how large edits are: axes, series, counts, and the words."""

from __future__ import annotations

import numpy as np
import pytest
from run_factory import made_run
from tiny_experiments import stored_rows

from sphere_theory.experiments.key_geometry import KeyGeometry
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.store import RunStore
from sphere_theory.study.markdown import number, span
from sphere_theory.study.question import Material
from sphere_theory.study.questions.key_orthonormality import QUESTION, SIZES
from sphere_theory.study.run_table import load_points
from sphere_theory.study.statistics import mean_interval, means_along

SHAPE = (16, 24)


@pytest.fixture(scope="module")
def keys(shared_folder):
    sources = (("clustered", "power"), ("orthonormal", "flat"), ("gaussian", "power"))
    tasks = [
        KeyGeometry(SyntheticLayer(SHAPE, source, spectrum), seed=seed, sizes=(5, 15), draws=2)
        for source, spectrum in sources
        for seed in range(2)
    ]
    return stored_rows(tasks, shared_folder, real="clustered")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("sizes")) as opened:
        for seed in range(3):
            for base, alpha in (("memit-seq", 0.8), ("alphaedit", 0.5)):
                for sphere in (None, (0.5, alpha)):
                    made_run(opened, base, sphere=sphere, seed=seed, size=0.1 * (1 + seed))
        yield opened


def _line(axes, name):
    (line,) = [line for line in axes.lines if line.get_label() == name]
    return line


def _drawn(rows):
    figure = QUESTION.figures["keys"]
    return figure.draw(figure.data(rows), "about")


def test_orthonormality_shows_every_layer_and_kind_of_keys(keys):
    figure = _drawn(keys)
    pairs, error, spectrum = figure.axes
    kinds = ["gaussian keys, power spectrum", "orthonormal keys"]
    names = [text.get_text() for text in pairs.get_yticklabels()]
    assert names[0] == "MiniLM"
    assert sorted(names[1:]) == kinds
    sets = keys[keys["kind"] == "set"]
    drawn = [line.get_label() for line in error.lines]
    assert drawn == [
        *(f"MiniLM layer {seed}, {of}" for of in ("edited", "preserved") for seed in range(2)),
        *(f"{name}, edited" for name in names[1:]),
    ]
    own = sets[(sets["host"] == "MiniLM layer 1") & (sets["of"] == "preserved")]
    line = _line(error, "MiniLM layer 1, preserved")
    np.testing.assert_allclose(line.get_ydata(), own.groupby("keys")["error_best"].mean())
    np.testing.assert_array_equal(line.get_xdata(), [5, 15])
    largest = sets[(sets["keys"] == 15) & (sets["host"] == "orthonormal keys")]
    np.testing.assert_allclose(
        _line(pairs, "orthonormal keys").get_xdata(), largest.groupby("seed")["cosine"].mean()
    )
    assert len(spectrum.lines) == 6
    (first, _) = [line for line in spectrum.lines if line.get_label() == "orthonormal keys"]
    np.testing.assert_allclose(first.get_ydata(), 1)
    assert "orthonormal keys: 24" in spectrum.texts[0].get_text()
    assert "2 MiniLM layers with recorded keys" in figure.get_supxlabel()
    assert "2 seeds of each kind of synthetic keys" in figure.get_supxlabel().replace("\n", " ")
    assert "up to 2 random sets of each size" in figure.get_supxlabel().replace("\n", " ")


def test_keys_without_a_real_layer_are_drawn(keys):
    figure = _drawn(keys[~keys["real"]])
    assert len(figure.axes[1].lines) == 2
    assert "no real layer with recorded keys" in figure.get_supxlabel()


def test_sizes_have_a_line_an_editor_with_its_interval(store):
    points = load_points(store)
    figure = QUESTION.figures["edit-size"].draw({"sizes": means_along(points, SIZES)}, "about")
    for axes, column in zip(figure.axes, SIZES, strict=True):
        assert axes.get_yscale() == "log"
        assert axes.get_xlabel() == "edits"
        for editor in points["editor"].unique():
            own = points[points["editor"] == editor].groupby("edits")[column].mean()
            np.testing.assert_allclose(_line(axes, editor).get_ydata(), own)
    styles = {name: _line(figure.axes[0], f"memit-seq{name}").get_linestyle() for name in ("", " + SPHERE")}
    assert styles == {"": "-", " + SPHERE": "--"}
    named = {text.get_text() for text in figure.axes[1].texts}
    assert named == set(points["editor"])


def test_keys_are_compared_in_sets_of_one_size(keys, store, monkeypatch):
    monkeypatch.setattr(Material, "rows", lambda self, experiment: keys)
    head, rows, *sizes = QUESTION.answer(Material(store))
    assert "of 15 preserved keys" in head
    table = {line.strip("| ").split(" | ")[0]: line.strip("| ").split(" | ")[1:] for line in rows.split("\n")}
    assert table["keys"][0] == "off by"
    for host in ("MiniLM layer 0", "gaussian keys, power spectrum"):
        own = keys[keys["host"] == host]
        sets = own[(own["of"] == "preserved") & (own["keys"] == 15)]
        spectrum = own[own["kind"] == "spectrum"]
        ratio = number(spectrum["participation"].mean(), ".1f")
        assert table[host] == [span(mean_interval(sets["error_best"].to_numpy()), ".3f"), ratio, "24"]
    (line,) = sizes
    at = span(mean_interval(np.sqrt(1000) * np.array([0.1, 0.2, 0.3])))
    assert f"‖ΔW‖/‖W‖ at the end: memit-seq {at}; memit-seq + SPHERE {at};" in line


def test_real_layers_and_every_kind_of_keys_are_measured():
    whole, quick = (QUESTION.experiments(quick) for quick in (False, True))
    assert len({task.host for task in whole if task.host.title}) == 6
    (real,) = [task.host for task in quick if task.host.title]
    assert real.layer == 3
    for tasks in (whole, quick):
        drawn = [task for task in tasks if not task.host.title]
        assert {task.seed for task in drawn} == {0, 1, 2}
        assert len({task.host for task in drawn}) == 4
        assert len(drawn) == 12
    assert {task.host.shape for task in whole} == {(384, 1536)}
