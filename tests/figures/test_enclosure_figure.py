"""The figure of what is certified of ΔHE shows what is stored."""

from __future__ import annotations

import math

import numpy as np

from sphere_theory.figures.enclosure import enclosures


def _audit(edit: str, size: float, change: float, low: float, high: float, layer: int = 3) -> dict:
    return {
        "layer": layer,
        "edit": edit,
        "relative_edit": size,
        "energy_change": change,
        "enclosure": [low, high],
        "angular_bound": 5 * abs(change),
        "checks": {"unconditional": {"tightness": 0.01}},
    }


AUDITS = [
    _audit("random", 1e-2, -3e-2, -1.0, 1.0),
    _audit("random", 1e-3, 2e-3, 1e-3, 4e-3),
    _audit("ascent", 1e-3, 1.0, 0.9, 1.2),
    _audit("ascent", 1e-3, 7.0, 0.9, 1.2, layer=0),
    _audit("ascent", 1e-2, -2.0, -3.0, -1.5),
]


def test_each_kind_of_edit_has_a_panel_with_the_change_and_its_bounds():
    random, ascent = enclosures(AUDITS).axes
    assert random.get_title(loc="left") == "random edit"
    for axes, sizes, changes in ((random, [1e-3, 1e-2], [2e-3, 3e-2]), (ascent, [1e-3, 1e-2], [1.0, 2.0])):
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_allclose(lines["|ΔHE|"].get_xydata(), np.transpose([sizes, changes]))
        np.testing.assert_allclose(lines["by angles (B8)"].get_ydata(), 5 * np.array(changes))
        np.testing.assert_allclose(lines["K*‖ΔW‖ (B8)"].get_ydata(), 10 * np.array(changes))
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_the_band_reaches_the_foot_where_the_sign_is_open():
    random, ascent = enclosures(AUDITS).axes
    foot = 0.1 * 2e-3
    assert math.isclose(random.get_ylim()[0], foot)
    for axes, corners in (
        (random, {(1e-3, 1e-3), (1e-3, 4e-3), (1e-2, foot), (1e-2, 1.0)}),
        (ascent, {(1e-3, 0.9), (1e-3, 1.2), (1e-2, 1.5), (1e-2, 3.0)}),
    ):
        drawn = axes.collections[0].get_paths()[0].vertices
        assert {tuple(np.round(corner, 9)) for corner in drawn} == {tuple(np.round(c, 9)) for c in corners}


def test_another_layer_is_drawn_where_there_is_no_third():
    (axes,) = enclosures([AUDITS[3]]).axes
    assert [line.get_ydata()[0] for line in axes.lines if line.get_label() == "|ΔHE|"] == [7.0]
