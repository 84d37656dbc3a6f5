"""Gains are paired by seed, drawn beside the paper's and along streams, and said as they were computed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from point_factory import HOST, runs, together
from run_factory import made_run, made_study

from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.streams.store import RunStore
from sphere_theory.study.choices import paired
from sphere_theory.study.markdown import span
from sphere_theory.study.question import Chosen, Material
from sphere_theory.study.questions.protection import QUESTION, QUOTED, gains, gains_along, several_seeds
from sphere_theory.study.run_table import load_points
from sphere_theory.study.statistics import mean_interval

GAINS, SEEDS = QUESTION.figures["gains"], QUESTION.figures["seeds"]
PAIR = together(runs(), runs(sphere=(0.5, 0.8)))
ALPHAEDIT = together(runs("alphaedit", collapse=800.0), runs("alphaedit", (0.5, 0.5), collapse=850.0))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("study")) as store:
        made_study(store)
        yield store


@pytest.fixture(scope="module")
def points(study):
    return load_points(study)


def _line(axes, name):
    (line,) = [line for line in axes.lines if line.get_label() == name]
    return line


def test_gains_are_paired_by_seed_and_drawn_beside_the_papers(points):
    found = gains(points)
    assert (found["edits"] == 1000).all()
    (row,) = found[(found["base"] == "memit") & (found["metric"] == "efficacy")].to_dict("records")
    last = points[(points["base"] == "memit") & (points["edits"] == 1000)].pivot(
        index="seed", columns="editor", values="efficacy"
    )
    each = (last["memit + SPHERE"] - last["memit"]).to_numpy()
    assert (row["gain"], row["low"], row["high"]) == pytest.approx(mean_interval(each))
    assert (row["before"], row["seeds"]) == (pytest.approx(last["memit"].mean()), 3)
    figure = GAINS.draw({"gains": pd.concat([gains(points, at=500), found])}, "about")
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(METRICS)
    for axes, metric in zip(figure.axes, METRICS, strict=True):
        early, late = [line for line in axes.lines if line.get_gid() == "gain"]
        np.testing.assert_array_equal(late.get_xdata(), found[found["metric"] == metric]["gain"])
        assert len(early.get_xdata()) == 3
        quoted = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "paper"]
        values = [getattr(one, metric) for one in QUOTED]
        assert quoted == [value for value in values if value is not None]
    assert "the paper's gains, on other hosts" in figure.get_supxlabel().replace("\n", " ")


def test_gains_are_drawn_after_each_third_of_the_edits(study, points):
    found = GAINS.data(Chosen(study, points))["gains"]
    # The counts nearest to 333 and 667.
    counts = found["edits"].unique().tolist()
    assert counts == [350, 650, 1000]
    expected = pd.concat([gains(points, at=at) for at in counts], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected)


def test_gains_need_pairs(points, tmp_path):
    with pytest.raises(InputError, match="on the same seed at that edit count, got 999"):
        gains(points, at=999)
    with RunStore(tmp_path) as store:
        made_run(store)
        with pytest.raises(InputError, match="points: expected runs with and without SPHERE"):
            gains(load_points(store))


def test_without_a_count_that_all_pairs_have_the_shortest_run_decides():
    odd = runs("memit", planned=900, points=9)
    sphere = runs("memit", (0.5, 0.8), planned=900, points=9)
    apart = together(odd, sphere).assign(planned=1000, edits=lambda rows: rows["edits"] + 7)
    assert set(gains(together(PAIR, apart))["edits"]) == {907}


def test_gains_of_runs_measured_twice_have_the_same_interval(points):
    both = pd.concat([points, points.assign(run=points["run"] + " again")], ignore_index=True)
    (host,) = points["host"].unique()
    expected = gains(paired(points, host))
    assert set(expected["seeds"]) == {3}
    pd.testing.assert_frame_equal(gains(paired(both, host)), expected)


def test_gains_along_are_the_gains_at_every_count(points):
    found = gains_along(points)
    assert sorted(found["edits"].unique()) == list(range(50, 1001, 50))
    own = points[points["base"] == "alphaedit"]
    expected = gains(own, at=300).reset_index(drop=True)
    pd.testing.assert_frame_equal(found[found["edits"] == 300].reset_index(drop=True), expected)
    assert set(gains_along(points, "memit")["base"]) == {"memit"}
    with pytest.raises(InputError, match="points: expected runs with and without SPHERE"):
        gains_along(points, "rect")


def test_gains_along_leave_out_what_no_pair_has_and_what_is_beyond_the_last_of_all():
    alone = ALPHAEDIT[(ALPHAEDIT["operator"] != "") | (ALPHAEDIT["edits"] != 500)]
    ended = alone[(alone["seed"] != 0) | (alone["edits"] <= 900)]
    counts = sorted(set(range(100, 1000, 100)) - {500})
    assert sorted(gains_along(ended)["edits"].unique()) == counts
    # Beyond, a mean would be over other seeds.
    assert 1000 in set(ended["edits"])


def test_seeds_show_levels_and_paired_differences(study, points):
    frames = SEEDS.data(Chosen(study, points))
    found = frames["gains"]
    pd.testing.assert_frame_equal(found, gains_along(points))
    figure = SEEDS.draw(frames, "about")
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
    assert {text.get_text() for text in levels[-1].texts} == {"alphaedit", "alphaedit + SPHERE"}


def test_several_seeds_are_of_alphaedit():
    assert not len(several_seeds(PAIR, HOST))
    assert len(several_seeds(together(PAIR, ALPHAEDIT), HOST))
    assert not len(several_seeds(together(PAIR, runs("alphaedit")), HOST))


def test_several_seeds_are_of_one_host():
    everything = together(PAIR, ALPHAEDIT)
    assert not len(several_seeds(everything, "another host"))
    mixed = together(everything, everything.assign(host="another host"))
    assert set(several_seeds(mixed, HOST)["host"]) == {HOST}
    assert len(several_seeds(mixed, HOST)) == len(several_seeds(everything, HOST))


def test_a_figure_needs_enough_seeds(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            made_run(store, seed=seed)
        made_run(store, "memit")
        few = load_points(store)
    assert not len(GAINS.choose(few, few["host"].iloc[0]))


def test_gains_are_said_editor_by_editor(study, points):
    (host,) = points["host"].unique()
    found = gains(paired(points, host))
    head, table, counts = QUESTION.answer(Material(study))
    assert head == f"**{host}** (18 runs, 3 seeds, to 1,000 edits), at 1,000 edits, with SPHERE less without:"
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    assert rows[0] == ["editor", *METRICS]
    assert len(rows[2:]) == found["base"].nunique() == 3
    for base, *cells in rows[2:]:
        own = found[found["base"] == base].set_index("metric")
        assert cells == [span(own.loc[m, ["gain", "low", "high"]], "+.3f") for m in METRICS]
    own = found[found["metric"] == "specificity"]
    up, down = (own["low"] > 0).sum(), (own["high"] < 0).sum()
    assert f"specificity rises for {up} and falls for {down} of 3" in counts
