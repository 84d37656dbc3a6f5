"""Figures of a store: which are drawn, from which rows, with what beside them, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from run_factory import made_run, made_study
from tiny_experiments import keep_tiny

from sphere_theory.errors import InputError
from sphere_theory.experiments.probe import SYNTHETIC, Probe
from sphere_theory.plotting import canvas, theme
from sphere_theory.streams.store import RunStore
from sphere_theory.study import drawing as module
from sphere_theory.study.drawing import draw_store, drawings, figures
from sphere_theory.study.question import ExperimentFigure
from sphere_theory.study.run_table import experiment_rows

REAL = "bound-real"
KNOWN = figures()
EXPERIMENTS = {name: figure for name, figure in KNOWN.items() if isinstance(figure, ExperimentFigure)}


@pytest.fixture(scope="module")
def filled(shared_folder: Path) -> Iterator[RunStore]:
    """No real layer is in it, so that one figure is missing."""
    with RunStore(shared_folder) as store:
        made_run(store)
        keep_tiny(store, shared_folder / "keys")
        yield store


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """In place of every figure the rows that it is asked to draw."""
    drawn: list[pd.DataFrame] = []

    def draw(frames: dict[str, pd.DataFrame], about: str) -> object:
        drawn.append(frames["rows"])
        return canvas()[0]

    patched = {
        name: replace(figure, draw=draw, data=lambda rows: {"rows": rows})
        for name, figure in EXPERIMENTS.items()
    }
    monkeypatch.setattr(module, "figures", lambda: KNOWN | patched)
    return drawn


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != REAL])
def test_every_experiment_is_drawn_from_its_rows(filled: RunStore, name: str) -> None:
    with theme():
        (drawing,) = drawings(filled, [name])
    assert drawing.name == name
    assert any(axes.has_data() for axes in drawing.figure.axes)
    assert all(len(table) for table in drawing.data.values())
    count = len(filled.experiments(EXPERIMENTS[name].experiment))
    assert drawing.provenance["experiments"] == f"{count} of {EXPERIMENTS[name].experiment}"
    assert set(drawing.provenance) == {"experiments", "drawn with package", "drawn with source"}


def test_a_figure_gets_all_rows_of_its_experiment(filled: RunStore, plain: list[pd.DataFrame]) -> None:
    for name in ("cost", "keys", "energy-stabilization"):
        (drawing,) = drawings(filled, [name])
        rows = experiment_rows(filled, EXPERIMENTS[name].experiment)
        assert len(rows) > 0
        pd.testing.assert_frame_equal(plain.pop(), rows)
        assert drawing.slug == name


def test_probes_of_weights_and_of_layers_are_two_figures(folder: Path, plain: list[pd.DataFrame]) -> None:
    with RunStore(folder) as store:
        made_run(store)
        for layer in (SYNTHETIC, 3):
            task = Probe(layer=layer)
            store.keep_experiment(task.name, task.config(), [{"of": layer}])
        assert [one.name for one in drawings(store, ["bound", REAL])] == ["bound", REAL]
    assert [rows["of"].tolist() for rows in plain] == [[SYNTHETIC], [3]]


def test_a_store_is_drawn_host_by_host_with_its_runs_in_the_metadata(folder: Path) -> None:
    with RunStore(folder / "runs") as store:
        made_study(store)
        drawn = draw_store(store, folder / "out", quick=True)
        names = [info.id for info in store.runs()]
    assert set(drawn.missing) == {"ablation", "front", "stress-steps", "turning"} | set(EXPERIMENTS)
    stem = folder / "out" / "streams-recorded-made-keys-random-order-16x24"
    text = stem.with_suffix(".svg").read_text(encoding="utf-8")
    assert all(name in text for name in names)
    assert "run with source=made" in text
    assert "drawn with source=" in text
    assert set(drawn.written) == {
        path for path in (folder / "out").iterdir() if path.suffix in (".png", ".svg", ".csv")
    }


def test_the_data_of_a_figure_stand_beside_it(folder: Path) -> None:
    with RunStore(folder / "runs") as store:
        made_study(store)
        (gains,) = drawings(store, ["gains"], quick=True)
        draw_store(store, folder / "out", quick=True)
    for name, table in gains.data.items():
        suffix = f"-{name}" if len(gains.data) > 1 else ""
        written = pd.read_csv(folder / "out" / f"{gains.slug}{suffix}.csv")
        pd.testing.assert_frame_equal(
            written, table.reset_index(drop=True), check_dtype=False, check_exact=False, rtol=1e-12
        )


def test_what_is_missing_says_what_it_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "figures", lambda: {"cost": KNOWN["cost"]})
    with RunStore(folder / "runs") as store:
        made_run(store)
        found = draw_store(store, folder / "out")
    assert found.written == ()
    assert found.missing == {"cost": "the experiment cost of `sphere-theory study`"}


def test_an_unknown_figure(folder: Path) -> None:
    with RunStore(folder) as store, pytest.raises(InputError, match="names: expected some of streams, "):
        list(drawings(store, ["nonsense"]))
