"""Figures of neurons' directions: panels, series, and that the drawn values are the stored ones."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from sphere_theory.analysis.neuron_maps import (
    AFTER,
    BEFORE,
    BIN,
    SUMMARY,
    UNIFORM,
    WIDTH,
    NeuronAngles,
    NeuronMap,
)
from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.errors import InputError
from sphere_theory.figures import neurons

HOST = {"model": "synthetic", "shape": (16, 24), "source": "gaussian", "edits": 10, "batch": 5}
KINDS = [("memit-seq", ("ridge=15",), ()), ("memit-seq", ("ridge=15",), (0.5, 0.8)), ("ft", (), ())]


@pytest.fixture(scope="module")
def angles(tmp_path_factory) -> pd.DataFrame:
    folder, found = tmp_path_factory.mktemp("keys"), []
    for editor, settings, sphere in KINDS:
        for seed in range(3):
            task = NeuronAngles(**HOST, editor=editor, settings=settings, sphere=sphere, seed=seed)
            found += [asdict(task) | row for row in task.rows(folder)]
    return pd.DataFrame(found)


@pytest.fixture(scope="module")
def maps(tmp_path_factory) -> pd.DataFrame:
    folder, found = tmp_path_factory.mktemp("keys"), []
    for editor, settings, sphere in KINDS:
        task = NeuronMap(**HOST, editor=editor, settings=settings, sphere=sphere, perplexity=5.0)
        found += [asdict(task) | row for row in task.rows(folder)]
    return pd.DataFrame(found)


def _text(figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def _own(rows, editor, sphere):
    return rows[(rows["editor"] == editor) & (rows["sphere"] == sphere)]


def test_histograms_draw_the_counts_of_every_seed_and_the_uniform_law(angles):
    figure = neurons.angle_histograms(angles)
    assert len(figure.axes) == 4
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["memit-seq", "ft", "memit-seq + SPHERE (η = 0.5, α = 0.8)", "ft"]
    assert figure.axes[2].get_xlabel() == "angle of a pair (degrees)"
    assert figure.axes[0].get_ylabel() == "pairs a degree"
    for axes, (editor, _, sphere) in zip((figure.axes[k] for k in (0, 2, 1)), KINDS, strict=True):
        bars = _own(angles, editor, sphere)
        bars = bars[bars["kind"] == BIN]
        for state in (BEFORE, AFTER):
            lines = [line for line in axes.lines if line.get_gid() == state]
            assert len(lines) == 3
            for line, (_, one) in zip(lines, bars[bars["state"] == state].groupby("seed"), strict=True):
                seen = one[one["count"] > 0]
                np.testing.assert_array_equal(line.get_ydata(), seen["count"] / WIDTH)
                np.testing.assert_array_equal(line.get_xdata(), seen["low"] + WIDTH / 2)
        (law,) = [line for line in axes.lines if line.get_gid() == UNIFORM]
        assert law.get_linestyle() == "--"
        expected = bars[(bars["state"] == BEFORE) & (bars["seed"] == 0)].set_index("low")["expected"]
        drawn = pd.Series(law.get_ydata() * WIDTH, law.get_xdata() - WIDTH / 2)
        both = drawn.index.intersection(expected.index)
        assert len(both) > 50
        np.testing.assert_allclose(drawn[both], expected[both])
    assert figure.axes[3].lines == [] or len(figure.axes[3].lines) == 0


def test_histograms_write_the_distance_to_the_uniform_law(angles):
    figure = neurons.angle_histograms(angles)
    own = _own(angles, "memit-seq", ())
    each = own[(own["kind"] == SUMMARY) & (own["state"] == AFTER)]["total_variation"].to_numpy()
    mean, low, high = mean_interval(each)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert f"after {mean:.3f} [{low:.3f}, {high:.3f}]" in texts
    caption = _text(figure)
    assert "gaussian keys, power spectrum; 10 edits in batches of 5" in caption
    assert "memit-seq ridge=15; ft as released" in caption
    assert "All 120 pairs of 16 neurons in 24 dimensions" in caption
    assert "3 seeds" in caption


def test_seeds_that_share_the_weights_have_no_interval(angles):
    same = angles.copy()
    before = (same["kind"] == SUMMARY) & (same["state"] == BEFORE)
    same.loc[before, "total_variation"] = 0.25
    texts = [text.get_text() for text in neurons.angle_histograms(same).axes[0].texts]
    assert "before 0.250" in texts


def test_maps_draw_every_neuron_in_both_states(maps):
    figure = neurons.neuron_maps(maps)
    panels, bar = figure.axes[:4], figure.axes[4]
    assert bar.get_ylabel() == "angle that the neuron turned (degrees)"
    for axes, (editor, _, sphere) in zip((panels[k] for k in (0, 2, 1)), KINDS, strict=True):
        own = _own(maps, editor, sphere)
        drawn = {c.get_gid(): c for c in axes.collections if c.get_gid()}
        for state in (BEFORE, AFTER):
            places = own[own["state"] == state][["x", "y"]].to_numpy()
            np.testing.assert_array_equal(drawn[state].get_offsets(), places)
        turned = own[own["state"] == AFTER]["turn"]
        np.testing.assert_array_equal(drawn[AFTER].get_array(), turned)
        assert f"median turn {turned.median():.1f}°" in [text.get_text() for text in axes.texts]
        (lines,) = [c for c in axes.collections if not c.get_gid()]
        assert len(lines.get_segments()) == 16
    assert panels[0].get_xticks().size == 0
    assert panels[2].get_xlabel() == "t-SNE 1 (no unit)"


def test_the_caption_says_what_a_map_does_not_show(maps):
    caption = _text(neurons.neuron_maps(maps))
    for words in (
        "one joint t-SNE embedding of both states by cosine distance, perplexity 5",
        "seed 0, one seed alone",
        "distances between clusters, their sizes and the axes mean nothing",
    ):
        assert words in caption


BAD = {
    "two hosts": (lambda a, m: neurons.angle_histograms(_two_hosts(a)), "rows: expected rows of one host"),
    "no rows": (
        lambda a, m: neurons.neuron_maps(m.iloc[:0]),
        "rows: expected rows of one host, got hosts none",
    ),
    "two seeds": (
        lambda a, m: neurons.neuron_maps(pd.concat([m, m.assign(seed=1)])),
        r"rows: expected maps of one seed, got seeds \[0, 1\]",
    ),
}


def _two_hosts(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.assign(model="minilm")])


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name, angles, maps):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call(angles, maps)
