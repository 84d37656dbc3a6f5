"""Where small perturbations end: which runs are asked, the figure's marks, what findings say."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from point_factory import HOST, SEEDS_NEEDED, runs, together
from run_factory import made_run

from sphere_theory.streams.store import RunStore
from sphere_theory.study.question import Chosen, Material
from sphere_theory.study.questions.small_perturbation import (
    QUESTION,
    STEPS_NEEDED,
    ends_in_words,
    step_sizes,
)
from sphere_theory.study.run_table import load_points
from sphere_theory.study.small_perturbation_ends import (
    CRITERIA,
    ENDED,
    HELD,
    NEVER,
    ends_by_setting,
    ends_of_smallness,
    step_exponents,
)

FIGURE = QUESTION.figures["stress-steps"]
STEPS = (0.01, 0.1, 1.0)


@pytest.fixture(scope="module")
def ends():
    rows = []
    for base, editor in (("memit", "memit"), ("memit", "memit + SPHERE"), ("alphaedit", "alphaedit")):
        for step in STEPS:
            for seed in range(3):
                for k, criterion in enumerate(CRITERIA):
                    count = 400 * (1 + seed / 10) / (step * (1 + k))
                    held = count > 20_000
                    operator = "SPHERE" if editor != base else ""
                    known = {"run": f"{editor}-{step}-{seed}", "base": base, "editor": editor, "seed": seed}
                    known |= {"operator": operator}
                    known |= {"settings": str(step), "planned": 20_000, "strength": step}
                    known |= {"step": step * (1 + seed / 100), "criterion": criterion}
                    rows.append(
                        known
                        | {
                            "outcome": HELD if held else ENDED,
                            "edits": min(count, 20_000),
                            "after": min(0.9 * count, 20_000),
                        }
                    )
    table = pd.DataFrame(rows)
    lost = (table["criterion"] == "efficacy") & (table["base"] == "alphaedit")
    return table.assign(
        outcome=table["outcome"].where(~lost, NEVER), edits=table["edits"].where(~lost, math.nan)
    )


@pytest.fixture(scope="module")
def figure(ends):
    return drawn(ends, step_exponents(ends, samples=20))


def drawn(ends, powers):
    return FIGURE.draw({"ends": ends, "settings": ends_by_setting(ends), "powers": powers}, "about")


def _panels(figure):
    return dict(zip(CRITERIA, figure.axes, strict=True))


def test_a_panel_a_criterion_with_log_scales_and_units(figure):
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(CRITERIA.values())
    assert {(axes.get_xscale(), axes.get_yscale()) for axes in figure.axes} == {("log", "log")}
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == ["median step ‖ΔW_t‖ / ‖W0‖"] * 2
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["edits until it no longer holds"] * 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["memit", "alphaedit"]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_run_has_its_mark(figure, ends, criterion: str):
    axes, own = _panels(figure)[criterion], ends[ends["criterion"] == criterion]
    for outcome in (ENDED, HELD):
        shown = np.concatenate([line.get_xydata() for line in axes.lines if line.get_gid() == outcome])
        expected = own[own["outcome"] == outcome][["step", "edits"]].to_numpy()
        np.testing.assert_array_equal(shown[np.lexsort(shown.T)], expected[np.lexsort(expected.T)])
    for line in axes.lines:
        if line.get_gid() in {ENDED, HELD}:
            assert (line.get_markerfacecolor() == "none") == ("SPHERE" not in line.get_label())
            assert line.get_marker() == {ENDED: "o", HELD: "^"}[line.get_gid()]
    (said,) = [text.get_text() for text in axes.texts if text.get_gid() == "counts"]
    held = (own["outcome"] == HELD).sum()
    assert (f"{held} of {len(own)} held" in said) == (held > 0)
    assert ("9 never there" in said) == (criterion == "efficacy")


def test_marks_at_one_height_are_drawn_without_a_warning(ends):
    one = ends.assign(edits=100, after=0, outcome=ENDED)
    frames = {"ends": one, "settings": ends_by_setting(one), "powers": step_exponents(one, samples=5)}
    figure = FIGURE.draw(frames, "a host")
    assert all(axes.get_yscale() == "log" for axes in figure.axes)


def test_lines_join_the_means_of_settings(figure, ends):
    means = ends_by_setting(ends)
    axes = _panels(figure)["sign"]
    for editor, style in (("memit", "-"), ("memit + SPHERE", "--"), ("alphaedit", "-")):
        (line,) = [one for one in axes.lines if one.get_label() == editor]
        own = means[(means["editor"] == editor) & (means["criterion"] == "sign")].sort_values("step")
        np.testing.assert_array_equal(line.get_xydata(), own[["step", "edits"]])
        assert line.get_linestyle() == style


def test_the_power_is_drawn_and_said(figure, ends):
    row = step_exponents(ends, samples=20).set_index("criterion").loc["apart"]
    axes = _panels(figure)["apart"]
    (line,) = [one for one in axes.lines if one.get_gid() == "power"]
    x, y = line.get_data()
    np.testing.assert_allclose(np.diff(np.log(y)) / np.diff(np.log(x)), row["exponent"])
    said = f"edits ∝ step^{row['exponent']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    assert said.replace("-", "−") in [text.get_text() for text in axes.texts]


def _said(figure):
    return figure.get_supxlabel().replace("\n", " ")


def test_the_caption_tells_of_a_power_only_where_one_is_drawn(figure, ends):
    assert "Grey: edits ∝ step^p" in _said(figure)
    undrawn = step_exponents(ends, samples=20).assign(exponent=math.nan)
    without = drawn(ends, undrawn)
    assert "Grey" not in _said(without)
    assert "comes close to 0." in _said(without)


def test_a_store_with_several_strengths_draws_it(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            for k, ridge in enumerate((1.0, 10.0, 100.0)):
                made_run(store, seed=seed, settings={"ridge": ridge}, collapse=200.0 * 3**k, step=0.1 / 2**k)
            made_run(store, seed=seed, planned=400)  # too short to stand beside the others
            made_run(store, "rome", seed=seed, sphere=(0.5, 0.8), control="random")
        points = load_points(store)
        host = points["host"].iloc[0]
        chosen = FIGURE.choose(points, host)
        assert set(chosen["planned"]) == {1000}
        assert chosen["run"].nunique() == 9
        found = FIGURE.data(Chosen(store, chosen, 10))
    ends = ends_of_smallness(chosen)
    pd.testing.assert_frame_equal(found["ends"], ends)
    figure = FIGURE.draw(found, "about")
    marks = [line.get_xydata() for line in figure.axes[0].lines if line.get_gid() in {ENDED, HELD}]
    assert sum(map(len, marks)) == (ends["criterion"] == "apart").sum()
    assert not len(FIGURE.choose(points[~points["settings"].str.contains("100.0")], host))
    assert not len(FIGURE.choose(points.drop(columns="total_sign"), host))


STRENGTHS = [15.0 * 100**k for k in range(STEPS_NEEDED)]
TURNED = together(*(runs(ridge=ridge) for ridge in STRENGTHS))


def test_another_hosts_runs_are_never_taken():
    assert not len(step_sizes(TURNED, "another host"))
    mixed = together(TURNED, TURNED.assign(host="another host"))
    assert set(step_sizes(mixed, HOST)["host"]) == {HOST}
    assert len(step_sizes(mixed, HOST)) == len(step_sizes(TURNED, HOST))


def test_step_sizes_need_several_strengths_of_one_editor():
    assert len(step_sizes(TURNED, HOST)) == len(TURNED)
    assert not len(step_sizes(TURNED[TURNED["settings"] != json.dumps({"ridge": 15.0})], HOST))
    assert not len(step_sizes(TURNED.drop(columns=["total_sign"]), HOST))
    short = together(*(runs(ridge=ridge, planned=400) for ridge in STRENGTHS))
    # Of 1,000 edits and of 2,000 together, but not of 400.
    both = together(TURNED, short, runs(ridge=15.0, planned=2000), runs(sphere=(0.3, 0.8), usual=False))
    chosen = step_sizes(both, HOST)
    assert set(chosen["planned"]) == {1000, 2000}
    assert set(chosen["editor"]) == {"memit-seq"}
    few = together(*(runs(ridge=ridge, seeds=range(SEEDS_NEEDED - 1)) for ridge in STRENGTHS))
    assert not len(step_sizes(few, HOST))


def test_an_editor_without_a_strength_has_its_row(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            for settings in ({"ridge": 1.0}, {"ridge": 10.0}, {"ridge": 100.0}):
                made_run(store, "memit", seed=seed, settings=settings, step=settings["ridge"] / 10)
            made_run(store, "ft", seed=seed)
        text = "\n".join(QUESTION.answer(Material(store, samples=20)))
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
    assert {tuple(cell.strip() for cell in row[:2]) for row in rows} == {
        ("memit", "1"),
        ("memit", "10"),
        ("memit", "100"),
        ("ft", "–"),
    }


def test_counts_in_words():
    row = {"seeds": 3, "held": 0, "edits": 700.0, "low": 600.0, "high": 800.0, "at_once": False}
    assert ends_in_words([row, row | {"at_once": True}]) == "700 [600, 800]; ≤ 700"
    assert ends_in_words([row | {"held": 1}]) == "≥ 700 (1 of 3 held)"
    assert ends_in_words([row | {"held": 3}]) == "held to 700"
