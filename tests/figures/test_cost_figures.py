"""Figures of cost: axes, series, labels, and that the drawn values are the stored ones."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from tiny import made_costs, made_stream_costs

from sphere_theory.analysis.cost import BATCHWISE, DECOMPOSITIONS
from sphere_theory.analysis.cost_growth import SHAPES, constancy, cost_points, exponents, predictions, series
from sphere_theory.errors import InputError
from sphere_theory.figures import cost


def _frame(made) -> pd.DataFrame:
    return pd.DataFrame([asdict(task) | row for task, rows in made for row in rows])


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return _frame(made_costs())


@pytest.fixture(scope="module")
def streams() -> pd.DataFrame:
    return _frame(made_stream_costs())


def _text(figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


@pytest.mark.parametrize("quantity", cost.QUANTITIES)
def test_growth_draws_the_medians_of_every_series(rows, quantity):
    figure = cost.cost_growth(rows, quantity)
    points = cost_points(rows)
    panels = [*((BATCHWISE, axis) for axis in ("n", "d", "batch"))]
    panels += [*((DECOMPOSITIONS, axis) for axis in ("n", "d", "shape"))]
    assert [axes.get_xlabel() for axes in figure.axes] == [cost._COLUMNS[axis] for _, axis in panels]
    assert figure.axes[0].get_ylabel() == figure.axes[3].get_ylabel() == cost.QUANTITIES[quantity][2]
    unit = cost.QUANTITIES[quantity][3]
    for axes, (operations, axis) in zip(figure.axes, panels, strict=True):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        own = series(points, axis)
        own = own[own["operation"].isin(list(operations))]
        kinds = cost.operations_of(own)
        assert len(axes.lines) == len(kinds) == (4 if operations is DECOMPOSITIONS or axis == "batch" else 5)
        for line, (operation, decay) in zip(axes.lines, kinds, strict=True):
            one = own[(own["operation"] == operation) & (own["decay"] == decay)]
            np.testing.assert_allclose(line.get_ydata(), one[quantity] / unit)
            np.testing.assert_array_equal(line.get_xdata(), one["value"])
    assert "medians of 3 repetitions" in _text(figure)
    assert "2 thread(s) of a made processor" in _text(figure)


def test_growth_writes_exponents_beside_the_names(rows):
    figure, found = cost.cost_growth(rows), exponents(rows)
    for axes, axis in zip(figure.axes, ("n", "d", "batch"), strict=False):
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        (label,) = [text for text in labels if text.startswith("memit-seq")]
        own = found[(found["axis"] == axis) & (found["operation"] == "memit-seq")].iloc[0]
        low, high = own["low"], own["high"]
        said = f": {own['exponent']:.2f} [{low:.2f}, {high:.2f}] ({own['counted']:.2f})"
        assert label.split(" step")[1] == said.replace("-", "−")
    memory = cost.cost_growth(rows, "peak_bytes").axes[0].get_legend().get_texts()
    assert [text.get_text() for text in memory][:2] == ["energy, afresh", "energy, kept current"]


def test_extrapolated_points_are_hollow_dashed_and_labelled(rows):
    figure, found = cost.cost_extrapolated(rows), predictions(rows)
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == [q[2] for q in cost.QUANTITIES.values()]
    for panel, axes in enumerate(figure.axes):
        quantity = list(cost.QUANTITIES)[panel // 2]
        low, high, _, unit = cost.QUANTITIES[quantity]
        hollow = [line for line in axes.lines if str(line.get_label()).endswith(", extrapolated")]
        own = found[found["operation"].isin(list((BATCHWISE, DECOMPOSITIONS)[panel % 2]))]
        kinds = cost.operations_of(own)
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
        assert "extrapolated" in [text.get_text() for text in axes.texts]
        assert axes.get_xticklabels()[-1].get_text() == "16384\n405B"
    text = _text(figure)
    assert "extrapolated (70B: 8,192 × 28,672; 405B: 16,384 × 53,248), not measured" in text
    dual = found[found["operation"] == "dual"].iloc[0]
    assert f"dual, exact {dual['held_out']:.2f} (memory {dual['held_out_peak']:.2f})" in text


def test_streams_draw_every_step_and_the_ratio(streams):
    figure, found = cost.cost_along_stream(streams), constancy(streams)
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
    assert cost.in_units(value, quantity) == words


def test_an_unknown_quantity_is_refused(rows):
    with pytest.raises(InputError, match="quantity: expected"):
        cost.cost_growth(rows, "money")
