"""How figures are written: provenance, the same bytes again, settings put back."""

from __future__ import annotations

import itertools
import math

import pandas as pd
import pytest

from sphere_theory import plotting as style

DATA = pd.DataFrame({"edits": [1, 2], "energy": [0.1, 0.2]})


def a_figure():
    figure, axes = style.canvas()
    axes.plot(DATA["edits"], DATA["energy"])
    style.title(figure, "Energy")
    return figure


@pytest.fixture
def drawn():
    return a_figure()


def test_a_saved_figure_carries_its_provenance(drawn, tmp_path):
    png, svg = style.save(drawn, tmp_path / "energy", {"seed": "7"})
    assert b"seed=7" in png.read_bytes()
    assert "seed=7" in svg.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["energy.png", "energy.svg"]


def test_its_data_stand_beside_it(drawn, tmp_path):
    style.save(drawn, tmp_path / "energy", {}, {"rows": DATA})
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "energy.csv"), DATA)
    written = style.save(drawn, tmp_path / "two", {}, {"rows": DATA, "means": DATA.mean().to_frame()})
    assert [path.name for path in written] == ["two-rows.csv", "two-means.csv", "two.png", "two.svg"]
    assert not list(tmp_path.glob(".*"))


def test_every_name_has_a_colour_of_its_own_as_long_as_there_are_some():
    colours = style.palette(["b", "a", "b", "c"])
    assert list(colours) == ["b", "a", "c"]
    assert len(set(colours.values())) == 3
    assert len(style.palette(map(str, range(20)))) == 20


def test_labels_at_the_ends_of_lines_do_not_touch():
    _figure, axes = style.canvas()
    axes.set_ylim(0, 1)
    style.name_ends(axes, [(0.5, "a", "k"), (0.5, "b", "k"), (0.99, "c", "k"), (1.0, "d", "k")])
    heights = sorted(text.xyann[1] for text in axes.texts)
    assert all(upper - lower > 0.05 for lower, upper in itertools.pairwise(heights))
    assert heights[-1] <= 1.06


def test_ticks_of_a_logarithmic_axis_are_few_and_within():
    for low, high in ((0.9, 2.0), (1.0, 50.0), (1e-3, 1e4)):
        _figure, axes = style.canvas()
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        style.plain_ticks(axes.yaxis)
        ticks = axes.yaxis.get_major_locator()()
        assert 2 <= len(ticks) <= 9
        assert min(ticks) >= low
        assert max(ticks) <= high


def test_the_same_results_give_the_same_bytes(tmp_path):
    def bytes_of(name: str) -> list[bytes]:
        with style.theme():
            figure = a_figure()
            return [path.read_bytes() for path in style.save(figure, tmp_path / name, {})]

    assert bytes_of("a") == bytes_of("b")


def test_theme_puts_settings_back():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with style.theme():
        pass
    assert dict(matplotlib.rcParams) == before
    assert math.isfinite(matplotlib.rcParams["font.size"])
