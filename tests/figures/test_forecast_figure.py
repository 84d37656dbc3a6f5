"""The figure of forecasts: its panels, that marks are forecasts and collapses, and which runs held."""

from __future__ import annotations

import numpy as np
import pytest
from made import made_run, made_study

from sphere_theory.analysis.forecast import FOLDS, MODELS, openings, out_of_sample, scores, usable
from sphere_theory.analysis.runs import gather
from sphere_theory.figures import from_store
from sphere_theory.figures.forecast import SHOWN, forecast_panels
from sphere_theory.streams.store import RunStore


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("forecast")) as store:
        made_study(store)
        for seed in range(3):
            made_run(store, "rome", seed=seed, size=0.012, collapse=5000.0)
        return gather(store)


@pytest.fixture(scope="module")
def found(points):
    runs = usable(openings(points))
    return {fold: out_of_sample(runs, by=fold) for fold in FOLDS}


@pytest.fixture(scope="module")
def scored(found):
    return {fold: scores(table, samples=20) for fold, table in found.items()}


@pytest.fixture(scope="module")
def figure(found, scored):
    return forecast_panels(found, scored, "about")


def _cells(figure):
    return np.array(figure.axes, dtype=object).reshape(len(FOLDS), len(SHOWN) + 1)


def test_a_row_a_fold_and_a_column_a_model(figure):
    cells = _cells(figure)
    titles = [axes.get_title(loc="left") for axes in cells[0, :-1]]
    assert titles == [f"{model},\n{FOLDS['base']}" for model in SHOWN]
    assert [axes.get_title(loc="left") for axes in cells[:, -1]] == [
        f"how far off, {x}" for x in FOLDS.values()
    ]
    assert {axes.get_xlabel() for axes in cells[-1, :-1]} == {"actual collapse (edits)"}
    assert [axes.get_ylabel() for axes in cells[:, 0]] == ["forecast collapse (edits)"] * 2
    assert {(axes.get_xscale(), axes.get_yscale()) for axes in cells[:, :-1].flat} == {("log", "log")}
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(keys) == ["alphaedit", "memit", "memit-seq", "rome"]


@pytest.mark.parametrize("row", range(len(FOLDS)))
@pytest.mark.parametrize("column", range(len(SHOWN)))
def test_marks_are_forecasts_against_collapses(figure, found, row: int, column: int):
    table = found[list(FOLDS)[row]]
    own = table[table["model"] == SHOWN[column]]
    axes = _cells(figure)[row, column]
    collapsed = own[np.isfinite(own["collapse"])]
    held = own[~np.isfinite(own["collapse"])]
    assert set(held["base"]) == {"rome"}
    for gid, runs, actual in (("collapsed", collapsed, "collapse"), ("held", held, "last")):
        drawn = np.concatenate([line.get_xydata() for line in axes.lines if line.get_gid() == gid])
        expected = runs[[actual, "median"]].to_numpy()
        np.testing.assert_array_equal(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])
    bars = sorted(path[:, 1].tolist() for part in axes.collections for path in part.get_segments())
    np.testing.assert_array_equal(bars, sorted(own[["low", "high"]].to_numpy().tolist()))
    (line,) = [one for one in axes.lines if one.get_gid() is None]
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
    low, high = axes.get_xlim()
    assert ((drawn > low) & (drawn < high)).all()


def test_sphere_is_filled(figure):
    for line in figure.axes[0].lines:
        if line.get_gid() in {"collapsed", "held"}:
            assert (line.get_markerfacecolor() == "none") == ("SPHERE" not in line.get_label())


@pytest.mark.parametrize("row", range(len(FOLDS)))
def test_beside_them_the_factor_and_the_coverage_of_every_model(figure, scored, row: int):
    table, axes = scored[list(FOLDS)[row]], _cells(figure)[row, -1]
    (factors,) = [line for line in axes.lines if line.get_gid() == "factor"]
    np.testing.assert_array_equal(factors.get_xdata(), table["factor"])
    assert [text.get_text() for text in axes.get_yticklabels()] == list(MODELS)
    covered = [text.get_text() for text in axes.texts]
    assert covered == [f"{one.factor:.2f}×, {one.covered:.0%} covered" for one in table.itertuples()]


def test_the_caption_counts_runs_that_held(figure):
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "editor left out: 21 runs, 3 of them held; seed left out: 21 runs, 3 of them held" in caption


def test_a_store_draws_it_where_editors_and_seeds_can_be_left_out(points, tmp_path):
    choose, draw, _ = from_store.FIGURES["forecast"]
    host = points["host"].iloc[0]
    chosen = choose(points, host)
    assert chosen["run"].nunique() == 21
    with RunStore(tmp_path) as store:
        assert len(draw(from_store.Study(store, chosen, 10)).axes) == 10
    assert not len(choose(points[points["base"] == "memit"], host))
    # Nothing to fit on where all held.
    assert not len(choose(points.assign(efficacy=1.0, specificity=1.0), host))
