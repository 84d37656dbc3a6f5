"""What it costs: what is measured, figures whose drawn values are the stored ones, and words."""

from __future__ import annotations

import itertools
from dataclasses import asdict, fields

import numpy as np
import pandas as pd
import pytest
from tiny_experiments import made_costs, made_stream_costs

from sphere_theory.experiments.cost import (
    BATCHWISE,
    DECOMPOSITIONS,
    OPERATIONS,
    STREAMED,
    Cost,
    StreamCost,
)
from sphere_theory.streams.store import RunStore
from sphere_theory.study import cost_plots
from sphere_theory.study.cost_growth import (
    AXES,
    SHAPES,
    constancy,
    cost_points,
    exponents,
    predictions,
    series,
)
from sphere_theory.study.cost_plots import in_units, named
from sphere_theory.study.question import Material
from sphere_theory.study.questions.cost import QUESTION


@pytest.mark.parametrize("quick", [True, False])
def test_experiments_are_plain_and_run_alone(quick):
    found = QUESTION.experiments(quick)
    assert len(set(found)) == len(found)
    assert {task.name for task in found} == {"cost", "cost-stream"}
    assert all(task.alone for task in found)
    for task in found:
        assert all(isinstance(getattr(task, field.name), (str, int, float)) for field in fields(task))
    measured = {"seconds": 1.0, "peak_bytes": 1.0, "rank": 0, "repeat": 0}
    table = pd.DataFrame([asdict(task) | measured for task in found if isinstance(task, Cost)])
    for axis in AXES:
        wanted = set(BATCHWISE) - {"energy"} if axis == "batch" else set(OPERATIONS)
        assert set(series(cost_points(table), axis)["operation"]) == wanted
    streams = [task for task in found if isinstance(task, StreamCost)]
    assert {(task.operation, task.seed) for task in streams} == set(itertools.product(STREAMED, range(3)))


def _frame(made) -> pd.DataFrame:
    return pd.DataFrame([asdict(task) | row for task, rows in made for row in rows])


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return _frame(made_costs())


@pytest.fixture(scope="module")
def streams() -> pd.DataFrame:
    return _frame(made_stream_costs())


def _drawn(name: str, rows: pd.DataFrame):
    figure = QUESTION.figures[name]
    return figure.draw(figure.data(rows), "about")


def _text(figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def _kinds(points: pd.DataFrame) -> list[tuple[str, float]]:
    return list(dict.fromkeys((row["operation"], row["decay"]) for _, row in named(points)))


def test_growth_draws_the_medians_of_every_series(rows):
    figure = _drawn("cost", rows)
    points = cost_points(rows)
    panels = [*((BATCHWISE, axis) for axis in ("n", "d", "batch"))]
    panels += [*((DECOMPOSITIONS, axis) for axis in ("n", "d", "shape"))]
    assert [axes.get_xlabel() for axes in figure.axes] == [cost_plots._AXES[axis] for _, axis in panels]
    assert figure.axes[0].get_ylabel() == figure.axes[3].get_ylabel() == "time (s)"
    for axes, (operations, axis) in zip(figure.axes, panels, strict=True):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        own = series(points, axis)
        own = own[own["operation"].isin(list(operations))]
        kinds = _kinds(own)
        assert len(axes.lines) == len(kinds) == (4 if operations is DECOMPOSITIONS or axis == "batch" else 5)
        for line, (operation, decay) in zip(axes.lines, kinds, strict=True):
            one = own[(own["operation"] == operation) & (own["decay"] == decay)]
            np.testing.assert_allclose(line.get_ydata(), one["seconds"])
            np.testing.assert_array_equal(line.get_xdata(), one["value"])
    assert "medians of 3 repetitions" in _text(figure)
    assert "2 thread(s) of a made processor" in _text(figure)


def test_growth_writes_exponents_beside_the_names(rows):
    figure, found = _drawn("cost", rows), exponents(rows)
    for axes, axis in zip(figure.axes, ("n", "d", "batch"), strict=False):
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        (label,) = [text for text in labels if text.startswith("memit-seq")]
        own = found[(found["axis"] == axis) & (found["operation"] == "memit-seq")].iloc[0]
        low, high = own["low"], own["high"]
        said = f": {own['exponent']:.2f} [{low:.2f}, {high:.2f}] ({own['counted']:.2f})"
        assert label.split(" step")[1] == said.replace("-", "−")
    first = [text.get_text().split(":")[0] for text in figure.axes[0].get_legend().get_texts()]
    assert first[:2] == ["energy, afresh", "energy, kept current"]


def test_extrapolated_points_are_hollow_dashed_and_labelled(rows):
    figure, found = _drawn("cost-extrapolated", rows), predictions(rows)
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["time (s)", "peak extra memory (MiB)"]
    for panel, axes in enumerate(figure.axes):
        quantity = ("seconds", "peak_bytes")[panel // 2]
        low, high = (("seconds_low", "seconds_high"), ("peak_low", "peak_high"))[panel // 2]
        unit = (1, 2**20)[panel // 2]
        hollow = [line for line in axes.lines if str(line.get_label()).endswith(", extrapolated")]
        own = found[found["operation"].isin(list((BATCHWISE, DECOMPOSITIONS)[panel % 2]))]
        kinds = _kinds(own)
        assert len(hollow) == len(kinds)
        bars = [c for c in axes.collections if len(c.get_segments()) == len(SHAPES)]
        for line, bar, (operation, decay) in zip(hollow, bars, kinds, strict=True):
            one = own[(own["operation"] == operation) & (own["decay"] == decay)]
            np.testing.assert_allclose(line.get_ydata(), one[quantity] / unit)
            np.testing.assert_array_equal(line.get_xdata(), [n for n, _ in SHAPES.values()])
            assert line.get_markerfacecolor() == "white"
            for segment, row in zip(bar.get_segments(), one.to_dict("records"), strict=True):
                np.testing.assert_allclose(segment[:, 1], [row[low] / unit, row[high] / unit])
        assert sum(line.get_linestyle() == "--" for line in axes.lines) == len(kinds)
        said = [text.get_text() for text in axes.texts]
        assert "extrapolated" in said
        for name, row in named(own[own["shape"] == "405B"]):
            assert f"{name}: {in_units(row[quantity], quantity)}" in said
        assert axes.get_xticklabels()[-1].get_text() == "16384\n405B"
    text = _text(figure)
    assert "extrapolated (70B: 8,192 × 28,672; 405B: 16,384 × 53,248), not measured" in text
    dual = found[found["operation"] == "dual"].iloc[0]
    assert f"dual, exact {dual['held_out']:.2f} (memory {dual['held_out_peak']:.2f})" in text


def test_streams_draw_every_step_and_the_ratio(streams):
    figure, found = _drawn("cost-stream", streams), constancy(streams)
    assert [axes.get_xlabel() for axes in figure.axes] == ["edits made"] * 4
    for axes, verdict in zip(figure.axes, found.to_dict("records"), strict=False):
        own = streams[streams["operation"] == verdict["operation"]]
        (dots,) = [line for line in axes.lines if line.get_gid() == "steps"]
        np.testing.assert_allclose(dots.get_ydata(), 1000 * own["seconds"])
        (mean,) = [line for line in axes.lines if line.get_gid() == "mean"]
        np.testing.assert_allclose(mean.get_ydata()[0], 1000 * own[own["step"] <= 3]["seconds"].mean())
        assert f"{verdict['ratio']:.3f} [{verdict['low']:.3f}" in axes.texts[0].get_text()
    memory = figure.axes[-1]
    for line in memory.lines:
        np.testing.assert_array_equal(line.get_ydata(), [1 + step % 2 for step in range(1, 31)])
    names = ["memit-seq step", "alphaedit step", "energy, kept current"]
    assert [text.get_text() for text in memory.texts] == names
    assert "30 batches of 2, Gaussian keys, 3 seeds" in _text(figure)


@pytest.mark.parametrize(
    ("value", "quantity", "words"),
    [
        (100000.0, "seconds", "1.2 days"),
        (7200.0, "seconds", "2.0 h"),
        (42.0, "seconds", "42 s"),
        (2e-5, "seconds", "0.0 ms"),
        (3 * 2.0**30, "peak_bytes", "3.0 GiB"),
        (50 * 2.0**20, "peak_bytes", "50 MiB"),
    ],
)
def test_large_numbers_are_written_in_units(value, quantity, words):
    assert in_units(value, quantity) == words


def test_the_answer_has_what_the_store_says(tmp_path):
    with RunStore(tmp_path) as store:
        for task, rows in [*made_costs(), *made_stream_costs()]:
            store.keep_experiment(task.name, task.config(), rows)
        material = Material(store, samples=20)
        text = "\n".join(QUESTION.answer(material))
        found = predictions(material.rows("cost"), samples=20)
        ratios = constancy(material.rows("cost-stream"))
    lines = text.splitlines()
    at = [k for k, line in enumerate(lines) if line.startswith("| dual, exact | 70B (8192×28672) | ")]
    assert len(at) == 1
    (dual,) = found[(found["operation"] == "dual") & (found["shape"] == "70B")].to_dict("records")
    assert in_units(dual["seconds"], "seconds") in lines[at[0]]
    assert f"| {dual['held_out']:.2f} |" in lines[at[0]]
    assert sum(line.startswith("| randomised, decay 1 |") for line in lines) == len(SHAPES) + 1
    for row in ratios.assign(decay=0.0).pipe(named):
        assert f"{row[0]} {row[1]['ratio']:.2f} [" in lines[-1]


def test_a_store_without_costs_says_nothing(tmp_path):
    with RunStore(tmp_path) as store:
        assert not list(QUESTION.answer(Material(store)))
