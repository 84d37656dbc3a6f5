"""Forecasts of collapse: which runs are chosen, what the figure shows of them, and what is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from run_factory import made_run, made_study

from sphere_theory.streams.store import RunStore
from sphere_theory.study.collapse_forecast import FOLDS, MODELS, openings, out_of_sample, scores, usable
from sphere_theory.study.markdown import number, span
from sphere_theory.study.question import Chosen, Material
from sphere_theory.study.questions import capacity
from sphere_theory.study.questions.capacity import LABELS, LEFT_OUT, QUESTION, forecastable

SHOWN = capacity._SHOWN


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("forecast")) as store:
        made_study(store)
        for seed in range(3):
            made_run(store, "rome", seed=seed, size=0.012, collapse=5000.0)
        yield Material(store, samples=20)


@pytest.fixture(scope="module")
def points(material):
    return material.points


@pytest.fixture(scope="module")
def frames(material, points):
    return QUESTION.figures["forecast"].data(Chosen(material.store, points, samples=20))


@pytest.fixture(scope="module")
def found(frames):
    return dict(iter(frames["forecasts"].groupby("fold")))


@pytest.fixture(scope="module")
def scored(frames):
    return dict(iter(frames["scores"].groupby("fold")))


@pytest.fixture(scope="module")
def figure(frames):
    return QUESTION.figures["forecast"].draw(frames, "about")


def test_everything_has_a_name_in_words():
    assert list(LABELS) == list(MODELS)
    assert list(LEFT_OUT) == list(FOLDS)
    assert set(SHOWN) < set(MODELS)


def test_what_is_shown_is_out_of_sample(frames, points):
    runs = usable(openings(points))
    for fold in FOLDS:
        expected = out_of_sample(runs, by=fold)
        own = frames["forecasts"][frames["forecasts"]["fold"] == fold].drop(columns="fold")
        assert own.reset_index(drop=True).equals(expected)
        own = frames["scores"][frames["scores"]["fold"] == fold].drop(columns="fold")
        assert own.reset_index(drop=True).equals(scores(expected, samples=20))


def _cells(figure):
    return np.array(figure.axes, dtype=object).reshape(len(FOLDS), len(SHOWN) + 1)


def test_a_row_a_fold_and_a_column_a_model(figure):
    cells = _cells(figure)
    titles = [axes.get_title(loc="left") for axes in cells[0, :-1]]
    assert titles == [f"{LABELS[model]},\n{LEFT_OUT['base']}" for model in SHOWN]
    assert [axes.get_title(loc="left") for axes in cells[:, -1]] == [
        f"how far off, {words}" for words in LEFT_OUT.values()
    ]
    assert {axes.get_xlabel() for axes in cells[-1, :-1]} == {"actual collapse (edits)"}
    assert [axes.get_ylabel() for axes in cells[:, 0]] == ["forecast collapse (edits)"] * 2
    assert {(axes.get_xscale(), axes.get_yscale()) for axes in cells[:, :-1].flat} == {("log", "log")}
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(keys) == ["alphaedit", "memit", "memit-seq", "rome"]


@pytest.mark.parametrize("row", range(len(FOLDS)))
@pytest.mark.parametrize("column", range(len(SHOWN)))
def test_marks_are_forecasts_against_collapses(figure, found, row: int, column: int):
    table = found[FOLDS[row]]
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
    table, axes = scored[FOLDS[row]], _cells(figure)[row, -1]
    (factors,) = [line for line in axes.lines if line.get_gid() == "factor"]
    np.testing.assert_array_equal(factors.get_xdata(), table["factor"])
    assert [text.get_text() for text in axes.get_yticklabels()] == list(LABELS.values())
    covered = [text.get_text() for text in axes.texts]
    assert covered == [f"{one.factor:.2f}×, {one.covered:.0%} covered" for one in table.itertuples()]


def test_the_caption_counts_runs_that_held(figure):
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "editor left out: 21 runs, 3 of them held; seed left out: 21 runs, 3 of them held" in caption


def test_a_store_draws_it_where_editors_and_seeds_can_be_left_out(material, points):
    one = QUESTION.figures["forecast"]
    ((host, chosen),) = material.of_hosts(one.choose)
    assert chosen["run"].nunique() == 21
    own = Chosen(material.store, chosen, 10)
    figure = one.draw(one.data(own), own.about)
    assert len(figure.axes) == 10
    caption = figure.get_supxlabel().replace("\n", " ")
    assert caption.startswith(
        f"{host}. 21 runs on 3 seeds, batches of 50, 1,000 edits. Seen: the first 10% of"
    )
    assert not len(forecastable(points[points["base"] == "memit"], host))
    # Nothing to fit on where all held.
    assert not len(forecastable(points.assign(efficacy=1.0, specificity=1.0), host))


def test_another_hosts_runs_are_never_taken(points):
    (host,) = points["host"].unique()
    both = pd.concat([points, points.assign(host="another host")], ignore_index=True)
    chosen = forecastable(both, host)
    assert set(chosen["host"]) == {host}
    assert len(chosen) == len(forecastable(points, host))
    assert not len(forecastable(points, "another host"))


def test_the_answer_has_a_row_a_model_and_a_column_a_fold(material, scored):
    head, block = QUESTION.answer(material)
    assert "21 runs, 3 seeds, to 1,000 edits" in head
    assert "; 21 usable runs, 3 of them held to the end; mean factor off" in head
    assert head.endswith("inside the 90% interval:")
    lines = block.splitlines()
    heads = " | ".join(f"{words} (21 runs scored)" for words in LEFT_OUT.values())
    assert lines[0] == f"| seen | {heads} |"
    for line, (model, words) in zip(lines[2:], LABELS.items(), strict=True):
        cells = []
        for fold in FOLDS:
            own = scored[fold].set_index("model").loc[model]
            cells.append(f"{span(own[['factor', 'low', 'high']])} ({number(own['covered'], '.0%')})")
        assert line == f"| {words.replace('|', chr(92) + '|')} | {' | '.join(cells)} |"
