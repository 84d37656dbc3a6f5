"""Figures of a run of the ledger show what is stored: axes, series, values; never pixels."""

from __future__ import annotations

import math

import numpy as np

from sphere_theory.claims import figures
from sphere_theory.claims.figures import ROLES
from sphere_theory.experiments.regimes import REGIMES


def _row(layer: int, part: str, value: float) -> dict:
    return {"tensor": f"encoder.layer.{layer}.{part}.weight", "n": 4, "d": 3, "s": 1.0, "uniformity": value}


def test_energy_by_layer_draws_one_line_a_role():
    rows = [_row(layer, part, 1 + layer / 100) for part in ROLES for layer in range(3)]
    axes = figures.energy_by_layer(rows).axes[0]
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(lines) == list(ROLES.values())
    for line in lines.values():
        assert np.array_equal(line.get_xydata(), [[0, 1.0], [1, 1.01], [2, 1.02]])
    assert "uniform" in axes.get_ylabel()
    assert axes.get_xlabel() == "layer"


def test_an_attention_output_is_not_taken_for_an_ffn_output():
    rows = [_row(0, "attention.output.dense", 2.0), _row(0, "output.dense", 3.0)]
    axes = figures.energy_by_layer(rows).axes[0]
    drawn = {
        line.get_label(): line.get_ydata()[0] for line in axes.lines if not line.get_label().startswith("_")
    }
    assert drawn == {"attention output": 2.0, "FFN out": 3.0}


def _audit(edit: str, size: float, value: float | None) -> dict:
    verdict = "not applicable" if value is None else "holds"
    check = {"verdict": verdict, "tightness": value, "constant": 1.0, "why": ""}
    return {
        "edit": edit,
        "layer": 3,
        "relative_edit": size,
        "checks": {"gradient": check, "unconditional": check},
    }


def test_tightness_leaves_out_what_does_not_apply():
    audits = [_audit("random", 1e-3, 1e-4), _audit("random", 1e-2, 1e-5), _audit("random", 1.0, None)]
    axes = figures.tightness_by_size(audits).axes[0]
    lines = [line for line in axes.lines if "random" in str(line.get_label())]
    assert [line.get_label() for line in lines] == ["random, K gradient", "random, K unconditional"]
    for line in lines:
        assert np.array_equal(line.get_xydata(), [[1e-3, 1e-4], [1e-2, 1e-5]])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_tightness_draws_the_median_over_layers():
    audits = [_audit("random", 1e-3, value) for value in (1e-6, 1e-5, 1e-2)]
    line = next(
        line for line in figures.tightness_by_size(audits).axes[0].lines if "random" in str(line.get_label())
    )
    assert line.get_ydata()[0] == 1e-5


def test_violations_are_marked():
    audits = [_audit("ascent", 1e-3, 1.1), _audit("ascent", 1e-2, 0.5)]
    audits[0]["checks"]["gradient"] = audits[0]["checks"]["gradient"] | {"verdict": "violated"}
    marks = [c for c in figures.tightness_by_size(audits).axes[0].collections if len(c.get_offsets()) == 1]
    assert [
        tuple(mark.get_offsets()[0]) for mark in marks if mark.get_paths()[0].vertices.shape == (4, 2)
    ] == [(1e-3, 1.1)]


def test_the_map_has_the_regime_of_each_cell():
    cells = [
        {"step": step, "edits": edits, "regime": REGIMES[(i + j) % len(REGIMES)]}
        for i, step in enumerate((1e-3, 1e-2))
        for j, edits in enumerate((1, 10, 100))
    ]
    axes = figures.regimes(cells).axes[0]
    grid = np.asarray(axes.collections[0].get_array()).reshape(2, 3)
    assert np.array_equal(grid, [[0, 1, 2], [1, 2, 3]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(REGIMES[:4])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "10", "100"]


EXAMPLES = [
    {
        "claim": "O6",
        "W": [[4.0, 3.0], [0.0, 2.0]],
        "delta": [[1.0, 0.0], [0.0, 0.0]],
        "projected": [[0.0, 0.0], [0.0, 0.5]],
        "X": None,
        "values": {"ΔHE": "-sqrt(2) + 5/3", "‖ΔV‖_F²": "2*x", "K_grad²": "1"},
    },
    {
        "claim": "E7",
        "W": [[3.0, 4.0], [5.0, 0.0]],
        "delta": [[3000.0, 4000.0], [0.0, 0.0]],
        "projected": None,
        "X": [[1.0], [0.0]],
        "values": {"ΔHE": "0"},
    },
]


def _ends(axes, marker: str = "o", face: str | None = None) -> list[tuple[float, float]]:
    lines = [line for line in axes.lines if line.get_marker() == marker]
    chosen = [line for line in lines if (line.get_markerfacecolor() == "white") == (face == "white")]
    return [tuple(float(v[0]) for v in line.get_data()) for line in chosen]


def test_a_counterexample_shows_neurons_before_and_after_and_exact_values():
    drawn = figures.counterexamples([*EXAMPLES, EXAMPLES[0] | {"W": [[9.0, 9.0], [9.0, 9.0]]}])
    outputs, projected = [axes for axes in drawn.axes if axes.get_visible()]  # E7 comes before O6
    assert projected.get_title(loc="left").startswith("O6")
    assert _ends(projected, face="white") == [(0.8, 0.6), (0.0, 1.0)]  # each in units of its own length
    assert _ends(projected) == [(1.0, 0.6), (0.0, 1.25)]  # the edit of one, the projected edit of the other
    assert projected.get_xlabel() == "ΔHE = −√2 + 5/3,   ‖ΔV‖² = 2·x\nK² = 1"
    assert _ends(outputs, face="white") == [(0.6, 0.8), (1.0, 0.0)]
    assert _ends(outputs) == []  # it lies far outside
    assert "×1,001" in [text.get_text() for text in outputs.texts]
    assert [line.get_linestyle() for line in outputs.lines].count(":") == 1  # the one input
    assert ":" not in [line.get_linestyle() for line in projected.lines]


def _enclosed(edit: str, size: float, change: float, low: float, high: float, layer: int = 3) -> dict:
    return {
        "layer": layer,
        "edit": edit,
        "relative_edit": size,
        "energy_change": change,
        "enclosure": [low, high],
        "angular_bound": 5 * abs(change),
        "checks": {"unconditional": {"tightness": 0.01}},
    }


ENCLOSED = [
    _enclosed("random", 1e-2, -3e-2, -1.0, 1.0),
    _enclosed("random", 1e-3, 2e-3, 1e-3, 4e-3),
    _enclosed("ascent", 1e-3, 1.0, 0.9, 1.2),
    _enclosed("ascent", 1e-3, 7.0, 0.9, 1.2, layer=0),
    _enclosed("ascent", 1e-2, -2.0, -3.0, -1.5),
]


def test_each_kind_of_edit_has_a_panel_with_the_change_and_its_bounds():
    random, ascent = figures.enclosures(ENCLOSED).axes
    assert random.get_title(loc="left") == "random edit"
    for axes, sizes, changes in ((random, [1e-3, 1e-2], [2e-3, 3e-2]), (ascent, [1e-3, 1e-2], [1.0, 2.0])):
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_allclose(lines["|ΔHE|"].get_xydata(), np.transpose([sizes, changes]))
        np.testing.assert_allclose(lines["by angles (B8)"].get_ydata(), 5 * np.array(changes))
        np.testing.assert_allclose(lines["K*‖ΔW‖ (B8)"].get_ydata(), 10 * np.array(changes))
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_the_band_reaches_the_foot_where_the_sign_is_open():
    random, ascent = figures.enclosures(ENCLOSED).axes
    foot = 0.1 * 2e-3
    assert math.isclose(random.get_ylim()[0], foot)
    for axes, corners in (
        (random, {(1e-3, 1e-3), (1e-3, 4e-3), (1e-2, foot), (1e-2, 1.0)}),
        (ascent, {(1e-3, 0.9), (1e-3, 1.2), (1e-2, 1.5), (1e-2, 3.0)}),
    ):
        drawn = axes.collections[0].get_paths()[0].vertices
        assert {tuple(np.round(corner, 9)) for corner in drawn} == {tuple(np.round(c, 9)) for c in corners}


def test_another_layer_is_drawn_where_there_is_no_third():
    (axes,) = figures.enclosures([ENCLOSED[3]]).axes
    assert [line.get_ydata()[0] for line in axes.lines if line.get_label() == "|ΔHE|"] == [7.0]
