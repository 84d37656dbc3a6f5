"""Figures of the reviewers' questions: axes, series, counts, and that drawn values are the stored ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from made import made_run

from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.review import SIZES, TURNING, courses, gains_along, refreshed
from sphere_theory.analysis.runs import METRICS, gather
from sphere_theory.analysis.spaces import SPACES, EnergyDirections, KeyGeometry, SpaceOverlap
from sphere_theory.figures import review
from sphere_theory.streams.store import RunStore

SHAPE = (16, 24)


def _stored(tasks, folder) -> pd.DataFrame:
    """Rows as a store hands them out: with the fields of their task."""
    rows = []
    for task in tasks:
        fields = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
        rows += [fields | row for row in task.rows(folder)]
    return pd.DataFrame(rows)


def _as_real(rows: pd.DataFrame) -> pd.DataFrame:
    """Clustered keys, called those of a real layer: no test waits for a model."""
    real = rows["source"] == "clustered"
    label = rows["host"].where(~real, "MiniLM layer " + rows["seed"].astype(str))
    return rows.assign(real=rows["real"] | real, host=label)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    sources = (("clustered", "power"), ("orthonormal", "flat"), ("gaussian", "power"))
    tasks = [
        KeyGeometry(
            "synthetic", shape=SHAPE, source=source, spectrum=spectrum, seed=seed, sizes=(5, 15), draws=2
        )
        for source, spectrum in sources
        for seed in range(2)
    ]
    return _as_real(_stored(tasks, tmp_path_factory.mktemp("keys")))


def _two(kind, folder, **settings) -> pd.DataFrame:
    same = {"model": "synthetic", "shape": SHAPE, "batch": 6, "batches": 2} | settings
    tasks = [
        kind(**same, source=source, seed=seed) for source in ("clustered", "gaussian") for seed in range(2)
    ]
    return _as_real(_stored(tasks, folder))


@pytest.fixture(scope="module")
def energies(tmp_path_factory):
    return _two(EnergyDirections, tmp_path_factory.mktemp("keys"), threshold=0.5)


@pytest.fixture(scope="module")
def overlaps(tmp_path_factory):
    return _two(SpaceOverlap, tmp_path_factory.mktemp("keys"), thresholds=(1e-9, 0.5))


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("review")) as store:
        for seed in range(3):
            for base, alpha in (("memit-seq", 0.8), ("alphaedit", 0.5)):
                for options in (None, {}, {"basis": "current"}):
                    sphere = None if options is None else (0.5, alpha)
                    collapse = 400.0 + 10 * seed**2 + 50 * len(options or {})
                    made_run(store, base, sphere=sphere, options=options, seed=seed, collapse=collapse)
        found = gather(store)
    turn = np.exp(-found["edits"] / 1000) + found["seed"] / 100
    return found.assign(principal_overlap=turn, principal_angle=1 - turn / 2, principal_rank=9.0)


def _marks(axes, name):
    (line,) = [line for line in axes.lines if line.get_gid() == name]
    return line


def _line(axes, name):
    (line,) = [line for line in axes.lines if line.get_label() == name]
    return line


def test_orthonormality_shows_every_layer_and_kind_of_keys(keys):
    figure = review.orthonormality(keys)
    pairs, error, spectrum = figure.axes
    assert [text.get_text() for text in pairs.get_yticklabels()] == [
        "MiniLM",
        "orthonormal keys",
        "gaussian keys, power spectrum",
    ]
    sets = keys[keys["kind"] == "set"]
    drawn = [line.get_label() for line in error.lines]
    assert drawn == [
        *(f"MiniLM layer {seed}, {of}" for of in ("edited", "preserved") for seed in range(2)),
        "orthonormal keys, edited",
        "gaussian keys, power spectrum, edited",
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


def test_sizes_have_a_line_an_editor_with_its_interval(points):
    found = courses(points, SIZES)
    figure = review.edit_size(found, "about")
    for axes, column in zip(figure.axes, SIZES, strict=True):
        assert axes.get_yscale() == "log"
        assert axes.get_xlabel() == "edits"
        for editor in points["editor"].unique():
            own = points[points["editor"] == editor].groupby("edits")[column].mean()
            np.testing.assert_allclose(_line(axes, editor).get_ydata(), own)
    styles = {name: _line(figure.axes[0], f"memit-seq{name}").get_linestyle() for name in ("", " + SPHERE")}
    assert styles == {"": "-", " + SPHERE": "--"}
    assert _line(figure.axes[0], "memit-seq + SPHERE (basis=current)").get_linestyle() == ":"
    named = {text.get_text() for text in figure.axes[1].texts}
    assert named == set(points["editor"])


def test_costs_are_drawn_in_percent():
    rows = [
        {
            "ratio": ratio,
            "base": base,
            "editor": f"{base} + SPHERE",
            "seeds": 3,
            "mean": mean,
            "low": mean / 2,
        }
        | {"high": 2 * mean, "solve": 0.02, "project": 0.0015}
        for base, mean in (("memit-seq", 0.1), ("alphaedit", 0.3))
        for ratio in ("projection", "whole stream")
    ]
    figure = review.cost(pd.DataFrame(rows), "about")
    left, right = figure.axes
    for axes in (left, right):
        marks = axes.collections[-1].get_offsets()
        np.testing.assert_allclose(marks, [[10, 0], [30, 1]])
    bars = [line.get_segments()[0][:, 0] for line in left.collections[:2]]
    np.testing.assert_allclose(bars, [[5, 20], [15, 60]])
    assert [text.get_text() for text in left.get_yticklabels()] == [
        "memit-seq + SPHERE",
        "alphaedit + SPHERE",
    ]
    assert {text.get_text() for text in left.texts} == {"1.5 of 20 ms"}
    assert "(%)" in left.get_xlabel()


def test_the_turn_and_what_a_refreshed_space_changes(points):
    found, compared = courses(points, TURNING), refreshed(points)
    figure = review.turning(found, compared, "about")
    overlap, rank, angle, share, *metrics, _ = figure.axes
    for axes, column, scale in (
        (overlap, "principal_overlap", 1),
        (rank, "principal_rank", 1),
        (angle, "principal_angle", 180 / np.pi),
        (share, "principal_share", 1),
    ):
        own = points[points["editor"] == "alphaedit"].groupby("edits")[column].mean()
        np.testing.assert_allclose(_line(axes, "alphaedit").get_ydata(), own * scale)
    assert [axes.get_title(loc="left") for axes in metrics] == list(METRICS)
    for axes, metric in zip(metrics, METRICS, strict=True):
        for base in ("memit-seq", "alphaedit"):
            own = compared[(compared["metric"] == metric) & (compared["base"] == base)]
            np.testing.assert_array_equal(_line(axes, base).get_ydata(), own["gain"])
    assert "paired on 3 seeds" in figure.get_supxlabel().replace("\n", " ")


def test_directions_show_means_over_layers_beside_chance(energies):
    figure = review.directions(energies)
    shares, explained, *left = figure.axes
    assert [text.get_text() for text in shares.get_yticklabels()] == list(SPACES.values())
    gradient = energies[energies["kind"] == "gradient"]
    for group, own in gradient.groupby(np.where(gradient["real"], "MiniLM", gradient["host"])):
        means = [mean_interval(own[own["space"] == name]["share"].to_numpy())[0] for name in SPACES]
        np.testing.assert_allclose(_marks(shares, group).get_xdata(), means)
    real = gradient[gradient["real"]]
    chance = (real["rank"] / real["directions"]).groupby(real["space"]).mean()
    np.testing.assert_allclose(_marks(shares, "chance").get_xdata(), chance[list(SPACES)])
    model = energies[(energies["kind"] == "model") & energies["real"]]
    expected = model.groupby("part")["cosine"].mean()[["mean", "covariance", "both"]]
    np.testing.assert_allclose(_marks(explained, "MiniLM").get_xdata(), expected)
    edit = energies[(energies["kind"] == "edit") & energies["real"]]
    assert [axes.get_title(loc="left") for axes in left] == list(dict.fromkeys(edit["edit"]))
    for axes in left:
        own = edit[edit["edit"] == axes.get_title(loc="left")]
        for column, gid in (("change_left", "MiniLM"), ("change_shrunk", "shrunk")):
            logs = np.log(own[column]).groupby([own["space"], own["host"]]).mean().groupby("space").mean()
            np.testing.assert_allclose(_marks(axes, gid).get_xdata(), np.exp(logs[list(SPACES)]))
        assert axes.get_xscale() == "log"
    assert "2 MiniLM layers" in figure.get_supxlabel()


def test_the_null_space_has_a_curve_a_layer_and_its_thresholds(overlaps):
    figure = review.null_space(overlaps)
    share, edits = figure.axes
    for label, seed in (("MiniLM layer 1", 1), ("gaussian keys, power spectrum", 0)):
        own = overlaps[
            (overlaps["kind"] == "curve") & (overlaps["host"] == label) & (overlaps["seed"] == seed)
        ]
        line = _line(share, f"{label}, seed {seed}")
        np.testing.assert_array_equal(line.get_xydata(), own[["chance", "inside"]])
    (marks,) = [one for one in share.collections if one.get_label() == "C0 < 0.5"]
    own = overlaps[(overlaps["kind"] == "threshold") & (overlaps["threshold"] == 0.5)]
    np.testing.assert_array_equal(marks.get_offsets(), own[["chance", "inside"]])
    assert [text.get_text() for text in edits.get_yticklabels()] == ["memit-seq", "alphaedit, C0 < 0.5"]
    own = overlaps[(overlaps["kind"] == "edit") & overlaps["real"]]
    expected = own.groupby("edit")["edit_inside"].mean()[["memit-seq", "alphaedit"]]
    np.testing.assert_allclose(_marks(edits, "MiniLM").get_xdata(), expected)
    drawn = [line for line in edits.lines if line.get_gid() == "chance"]
    expected = own.groupby("edit")["chance"].mean()[["memit-seq", "alphaedit"]]
    np.testing.assert_allclose(drawn[0].get_xdata(), expected)


def test_seeds_show_levels_and_paired_differences(points):
    found = gains_along(points)
    figure = review.seeds(found, "about")
    levels, differences = figure.axes[:3], figure.axes[3:]
    for axes, difference, metric in zip(levels, differences, METRICS, strict=True):
        own = found[found["metric"] == metric]
        np.testing.assert_array_equal(_line(axes, "alphaedit").get_ydata(), own["before"])
        np.testing.assert_array_equal(_line(axes, "alphaedit + SPHERE").get_ydata(), own["after"])
        np.testing.assert_array_equal(_line(difference, "gain").get_xydata(), own[["edits", "gain"]])
        band = difference.collections[0].get_paths()[0].vertices
        np.testing.assert_allclose(
            [band[:, 1].min(), band[:, 1].max()], [own["low"].min(), own["high"].max()]
        )
    assert "paired on 3 or more seeds" in figure.get_supxlabel()
