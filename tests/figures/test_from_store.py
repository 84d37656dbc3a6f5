"""Figures of a store's experiments: which are drawn, from which rows, and what is said to be missing."""

from __future__ import annotations

import pandas as pd
import pytest
from made import made_run
from tiny import LAYER, keep_tiny

from sphere_theory.analysis.neuron_maps import NeuronAngles
from sphere_theory.analysis.probed import SYNTHETIC, Probe
from sphere_theory.errors import InputError
from sphere_theory.figures import from_store
from sphere_theory.figures.from_store import EXPERIMENTS, ExperimentFigure, drawings, experiment_frame
from sphere_theory.figures.style import theme
from sphere_theory.streams.store import RunStore

REAL = "bound-real"


@pytest.fixture(scope="module")
def filled(shared_folder):
    """No real layer is in it, so that one figure is missing."""
    with RunStore(shared_folder) as store:
        made_run(store)
        keep_tiny(store, shared_folder / "keys")
        yield store


@pytest.fixture
def plain(monkeypatch):
    """In place of every figure the rows that it is asked to draw."""
    drawn: list[pd.DataFrame] = []
    for name, one in EXPERIMENTS.items():
        patched = one._replace(draw=lambda frame, name=name: drawn.append(frame) or name)
        monkeypatch.setitem(EXPERIMENTS, name, patched)
    return drawn


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != REAL])
def test_every_experiment_is_drawn_from_its_rows(filled, name):
    with theme():
        (drawing,) = drawings(filled, [name])
    assert drawing.name == name
    assert any(axes.has_data() for axes in drawing.figure.axes)
    count = len(filled.experiments(EXPERIMENTS[name].experiment))
    assert drawing.provenance["experiments"] == f"{count} of {EXPERIMENTS[name].experiment}"
    assert set(drawing.provenance) == {"experiments", "drawn with package", "drawn with source"}


def test_a_figure_gets_all_rows_of_its_experiment(filled, plain):
    for name in ("cost", "keys", "upkeep"):
        (drawing,) = drawings(filled, [name])
        frame = experiment_frame(filled, EXPERIMENTS[name].experiment)
        assert len(frame) > 0
        pd.testing.assert_frame_equal(plain.pop(), frame)
        assert drawing.slug == name


def test_layers_and_keys_have_a_figure_each(tmp_path, plain):
    hosts = [
        ({"layer": 3}, "MiniLM layer 3", "neuron-angles-minilm-layer-3"),
        ({"layer": 1}, "MiniLM layer 1", "neuron-angles-minilm-layer-1"),
        (LAYER, "synthetic 12x20 power", "neuron-angles-synthetic-12x20-power"),
        (LAYER | {"spectrum": "flat"}, "synthetic 12x20 flat", "neuron-angles-synthetic-12x20-flat"),
    ]
    with RunStore(tmp_path) as store:
        made_run(store)
        for fields, host, _ in hosts:
            for seed in range(2):
                task = NeuronAngles(**fields, seed=seed)
                store.keep_experiment(task.name, task.config(), [{"of": host}])
        found = {one.host: one for one in drawings(store, ["neuron-angles"])}
    assert {(host, one.slug) for host, one in found.items()} == {(host, slug) for _, host, slug in hosts}
    for frame in plain:
        assert frame["of"].nunique() == 1
        assert sorted(frame["seed"]) == [0, 1]


def test_probes_of_weights_and_of_layers_are_two_figures(tmp_path, plain):
    with RunStore(tmp_path) as store:
        made_run(store)
        for layer in (SYNTHETIC, 3):
            task = Probe(layer=layer)
            store.keep_experiment(task.name, task.config(), [{"of": layer}])
        assert [one.name for one in drawings(store, ["bound", REAL])] == ["bound", REAL]
    assert [frame["of"].tolist() for frame in plain] == [[SYNTHETIC], [3]]


def test_a_rows_own_columns_win_and_fields_are_tuples_again(tmp_path):
    with RunStore(tmp_path) as store:
        store.keep_experiment("a", {"size": 1.0, "shape": (2, 3)}, [{"size": 0.5}, {"more": 1}])
        frame = experiment_frame(store, "a")
        assert experiment_frame(store, "none").empty
    assert frame["size"].tolist() == [0.5, 1.0]
    assert set(frame["shape"]) == {(2, 3)}
    assert frame["experiment"].nunique() == 1


def test_experiments_stand_by_what_they_were_not_by_their_names(tmp_path):
    tasks = [
        {"model": model, "editor": editor, "seed": seed}
        for model in ("minilm", "synthetic")
        for editor in ("alphaedit", "memit-seq")
        for seed in (0, 1, 2)
    ]
    with RunStore(tmp_path) as store:
        for place, task in enumerate(tasks):
            store.keep_experiment("a", task, [{"place": place}])
        assert experiment_frame(store, "a")["place"].tolist() == list(range(len(tasks)))


def test_what_is_missing_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(from_store, "FIGURES", {})
    known = {"cost": ExperimentFigure("cost", lambda frame: None)}
    monkeypatch.setattr(from_store, "EXPERIMENTS", known)
    with RunStore(tmp_path / "runs") as store:
        made_run(store)
        found = from_store.draw_store(store, tmp_path / "out")
    assert found.written == ()
    assert found.missing == {"cost": "the experiment cost of `sphere-theory study`"}


def test_an_unknown_figure(tmp_path):
    with RunStore(tmp_path) as store, pytest.raises(InputError, match="names: expected some of streams, "):
        list(drawings(store, ["nonsense"]))
