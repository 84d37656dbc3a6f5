"""The figure of where small perturbations end: marks are runs, lines are means, what held is marked."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from made import made_run

from sphere_theory.analysis.runs import gather
from sphere_theory.analysis.smallness import (
    CRITERIA,
    ENDED,
    HELD,
    NEVER,
    ends_by_setting,
    ends_of_smallness,
    step_exponents,
)
from sphere_theory.figures import from_store
from sphere_theory.figures.smallness import step_size_map
from sphere_theory.streams.store import RunStore

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
                    known = {"run": f"{editor}-{step}-{seed}", "base": base, "editor": editor, "seed": seed}
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
    return step_size_map(ends, step_exponents(ends, samples=20), "about")


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
        drawn = np.concatenate([line.get_xydata() for line in axes.lines if line.get_gid() == outcome])
        expected = own[own["outcome"] == outcome][["step", "edits"]].to_numpy()
        np.testing.assert_array_equal(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])
    for line in axes.lines:
        if line.get_gid() in {ENDED, HELD}:
            assert (line.get_markerfacecolor() == "none") == ("SPHERE" not in line.get_label())
            assert line.get_marker() == {ENDED: "o", HELD: "^"}[line.get_gid()]
    (said,) = [text.get_text() for text in axes.texts if text.get_gid() == "counts"]
    held = (own["outcome"] == HELD).sum()
    assert (f"{held} of {len(own)} held" in said) == (held > 0)
    assert ("9 never there" in said) == (criterion == "efficacy")


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
    without = step_size_map(ends, undrawn, "about")
    assert "Grey" not in _said(without)
    assert "comes close to 0." in _said(without)


def test_a_store_with_several_strengths_draws_it(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            for k, ridge in enumerate((1.0, 10.0, 100.0)):
                made_run(store, seed=seed, settings={"ridge": ridge}, collapse=200.0 * 3**k, step=0.1 / 2**k)
            made_run(store, seed=seed, planned=400)  # too short to stand beside the others
            made_run(store, "rome", seed=seed, sphere=(0.5, 0.8), control="random")
        points = gather(store)
    choose, draw, _ = from_store.FIGURES["stress-steps"]
    host = points["host"].iloc[0]
    chosen = choose(points, host)
    assert set(chosen["planned"]) == {1000}
    assert chosen["run"].nunique() == 9
    figure = draw(from_store.Study(store, chosen, 10))
    ends = ends_of_smallness(chosen)
    drawn = [line.get_xydata() for line in figure.axes[0].lines if line.get_gid() in {ENDED, HELD}]
    assert sum(map(len, drawn)) == (ends["criterion"] == "apart").sum()
    assert not len(choose(points[~points["settings"].str.contains("100.0")], host))
    assert not len(choose(points.drop(columns="total_sign"), host))
