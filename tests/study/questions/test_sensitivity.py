"""Settings of a grid: which are taken, where they end, how they are drawn, and what is said of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from point_factory import HOST, SEEDS, runs, together
from run_factory import made_run

from sphere_theory.editing.control import KINDS
from sphere_theory.hosts.base import METRICS
from sphere_theory.streams.store import RunStore
from sphere_theory.study.choices import SEEDS_NEEDED, usual
from sphere_theory.study.markdown import number, span
from sphere_theory.study.pareto_front import front_gaps, front_shares, settings_reached
from sphere_theory.study.question import Chosen, Material
from sphere_theory.study.questions.sensitivity import GRID_NEEDED, QUESTION, fronts, grids_of
from sphere_theory.study.run_table import PROJECTED, load_points

ABLATION, FRONT = QUESTION.figures["ablation"], QUESTION.figures["front"]
CONTROLS = tuple(KINDS.values())
VARIANT = f"{PROJECTED}, compensate=True"
LISTED = [PROJECTED, VARIANT, *CONTROLS]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("grid")) as store:
        for seed in range(3):
            made_run(store, seed=seed, collapse=900.0 + seed)
            for eta in (0.3, 0.5):
                for alpha in (0.3, 0.5, 0.8):
                    made_run(store, sphere=(eta, alpha), seed=seed, collapse=1000 * alpha, energy=eta)
            for kind in KINDS:
                made_run(store, sphere=(0.5, 0.8), control=kind, seed=seed, collapse=800.0)
            made_run(store, sphere=(0.5, 0.8), options={"compensate": True}, seed=seed, collapse=2000.0)
            for ridge in (1.0, 1e6):
                made_run(store, settings={"ridge": ridge}, seed=seed, collapse=700.0 + ridge)
        yield store


@pytest.fixture(scope="module")
def grid(store):
    return load_points(store)


@pytest.fixture(scope="module")
def frames(store, grid):
    return FRONT.data(Chosen(store, grid, samples=20))


def _of(rows, operator, variant="", *, turned=None):
    own = rows[(rows["operator"] == operator) & (rows["variant"] == variant)]
    return own if turned is None else own[own["turned"] == turned]


def _line(axes, name):
    (line,) = [line for line in axes.lines if line.get_label() == name]
    return line


# ---- Choices -----------------------------------------------------------------------------------------------


def _grid(count: int = GRID_NEEDED) -> list[pd.DataFrame]:
    etas = [round(0.1 + 0.1 * k, 1) for k in range(count)]
    sphere = [runs(sphere=(eta, 0.8), usual=eta == 0.5) for eta in etas]
    return [runs(), *sphere]


TURNED = together(*_grid(), runs(ridge=150.0))


@pytest.mark.parametrize("choose", [grids_of, fronts])
def test_another_hosts_runs_are_never_taken(choose):
    assert not len(choose(TURNED, "another host"))
    mixed = together(TURNED, TURNED.assign(host="another host"))
    assert set(choose(mixed, HOST)["host"]) == {HOST}
    assert len(choose(mixed, HOST)) == len(choose(TURNED, HOST))


def test_a_grid_has_enough_pairs_of_sphere_itself():
    assert len(grids_of(together(*_grid()), HOST)) == len(together(*_grid()))
    small = _grid(GRID_NEEDED - 1)
    assert not len(grids_of(together(*small), HOST))
    # Neither a control, nor what too few seeds have, is one more pair.
    control = runs(sphere=(0.9, 0.8), kind=KINDS["random"])
    rare = runs(sphere=(0.9, 0.8), usual=False, seeds=range(SEEDS_NEEDED - 1))
    assert not len(grids_of(together(*small, control, rare), HOST))


def test_a_front_needs_another_strength():
    assert not len(fronts(together(*_grid()), HOST))
    assert len(fronts(TURNED, HOST)) == len(TURNED)
    assert not len(fronts(together(*_grid(), runs("memit", ridge=150.0)), HOST))


def test_a_run_measured_twice_is_no_second_seed(grid):
    # The same edits on the same seed, measured every other time.
    again = grid[grid["edits"] % 100 == 0]
    both = pd.concat([again.assign(run=again["run"] + " again"), grid], ignore_index=True)
    (host,) = grid["host"].unique()
    assert set(grids_of(both, host)["run"]) == set(grids_of(grid, host)["run"]) == set(grid["run"])


def test_runs_judged_among_fewer_values_do_not_stand_beside_the_others(tmp_path, grid):
    with RunStore(tmp_path) as store:
        for seed in SEEDS:
            for sphere in (None, (0.5, 0.8)):
                made_run(store, "memit", sphere=sphere, seed=seed, candidates=50)
        both = pd.concat([grid, load_points(store)], ignore_index=True)
    (host,) = both["host"].unique()
    assert set(grids_of(both, host)["run"]) == set(grid["run"])


def test_controls_are_not_taken_for_sphere(grid):
    assert set(usual(grid)["editor"]) == {"memit-seq", "memit-seq + SPHERE"}
    host = grid["host"].iloc[0]
    assert set(grids_of(grid, host)["operator"]) == {"", PROJECTED, *CONTROLS}
    # Pairs of η and α of the controls are no grid of SPHERE's.
    as_controls = grid.assign(operator=grid["operator"].replace(PROJECTED, CONTROLS[0]))
    assert not len(grids_of(as_controls, host))


def test_figures_need_a_grid(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in SEEDS:
            made_run(store, seed=seed)
        made_run(store, "memit")
        few = load_points(store)
    for figure in (ABLATION, FRONT):
        assert not len(figure.choose(few, few["host"].iloc[0]))


# ---- Figures -----------------------------------------------------------------------------------------------


def test_settings_are_told_apart_from_controls(grid):
    found = settings_reached(grid)
    kinds = found[["operator", "variant", "turned"]].value_counts().to_dict()
    controls = {(kind, "", False): 1 for kind in CONTROLS}
    sphere = {(PROJECTED, "", False): 6, (PROJECTED, "compensate=True", False): 1}
    assert kinds == sphere | controls | {("", "", False): 1, ("", "", True): 2}
    assert (found["seeds"] == 3).all()
    plain = _of(found, "", turned=False).iloc[0]
    ends = grid[(grid["operator"] == "") & (grid["strength"] == 15000)]
    assert plain["efficacy"] == pytest.approx(ends[ends["edits"] == 1000]["efficacy"].mean())
    assert plain["strength"] == 15000
    assert sorted(_of(found, "", turned=True)["strength"]) == [1, 1e6]


def test_heat_maps_have_the_mean_of_each_cell(store, grid):
    frames = ABLATION.data(Chosen(store, grid))
    found = settings_reached(grid)
    pd.testing.assert_frame_equal(frames["settings"], found)
    figure = ABLATION.draw(frames, "about")
    efficacy, specificity, energy = figure.axes
    projected = _of(found, PROJECTED)
    for axes, column in ((efficacy, "efficacy"), (specificity, "specificity"), (energy, "energy_level")):
        table = projected.pivot_table(index="eta", columns="alpha", values=column).to_numpy()
        np.testing.assert_array_equal(axes.images[0].get_array(), table)
        assert len(axes.texts) == 6
    assert [text.get_text() for text in efficacy.get_xticklabels()] == ["0.3", "0.5", "0.8"]
    assert [text.get_text() for text in efficacy.get_yticklabels()] == ["0.3", "0.5"]
    assert (efficacy.get_xlabel(), efficacy.get_ylabel()) == ("α", "η")
    alone = _of(found, "", turned=False)["efficacy"].item()
    assert efficacy.get_title(loc="left") == f"memit-seq: efficacy, {alone:.2f} without"


def test_the_front_joins_the_ridge_and_shows_every_setting(frames):
    found = frames["settings"]
    axes, _ = FRONT.draw(frames, "about").axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("specificity", "efficacy")
    alone = _of(found, "").sort_values("strength")
    line = _line(axes, "own ridge turned")
    np.testing.assert_array_equal(line.get_xydata(), alone[["specificity", "efficacy"]])
    sphere = _of(found, PROJECTED)
    drawn = {f"SPHERE, α = {alpha:g}": sphere[sphere["alpha"] == alpha] for alpha in (0.3, 0.5, 0.8)}
    drawn |= {kind: _of(found, kind) for kind in CONTROLS}
    drawn |= {VARIANT: _of(found, PROJECTED, "compensate=True")}
    drawn |= {"base editor": _of(found, "", turned=False)}
    for name, own in drawn.items():
        assert len(own)
        marks = _line(axes, name)
        np.testing.assert_array_equal(marks.get_xydata(), own[["specificity", "efficacy"]])
        assert (marks.get_markerfacecolor() == "none") == (name in CONTROLS)
    named = {text.get_text() for text in axes.texts}
    assert named >= {"base editor", "own ridge turned", *LISTED}


def test_below_the_front_are_the_shares_that_no_ridge_reaches(grid, frames):
    shares = frames["shares"]
    pd.testing.assert_frame_equal(shares, front_shares(front_gaps(grid), samples=20))
    _, below = FRONT.draw(frames, "about").axes
    assert len(shares) == len(LISTED)
    for place, label in enumerate(LISTED):
        (mark,) = [line for line in below.lines if line.get_gid() == label]
        variant = "compensate=True" if label == VARIANT else ""
        own = _of(shares, PROJECTED if variant else label, variant).iloc[0]
        np.testing.assert_array_equal(mark.get_xydata(), [[own["share"], place]])
        text = f"{own['beyond']} of {own['settings'] - own['off the curve']} [{own['sure']}]"
        assert any(drawn.get_text().startswith(text) for drawn in below.texts)
    assert [text.get_text() for text in below.get_yticklabels()] == LISTED


# ---- Answer ------------------------------------------------------------------------------------------------


def test_ranges_and_shares_are_said_as_they_are(store, grid, frames):
    first, ranges, second, shares = QUESTION.answer(Material(store, samples=20))
    (host,) = grid["host"].unique()
    for line in (first, second):
        assert line.startswith(f"**{host}** ({grid['run'].nunique()} runs, 3 seeds, to 1,000 edits); ")
    sphere = _of(settings_reached(grid), PROJECTED)
    cells = [f"{number(sphere[name].min())} to {number(sphere[name].max())}" for name in METRICS]
    assert _cells(ranges) == [["editor", "settings", *METRICS], ["memit-seq", "6", *cells]]
    head, *rows = _cells(shares)
    assert head[:4] == ["editor", "in place of P", "settings", "beyond"]
    assert {row[1] for row in rows} == set(LISTED)
    (row,) = [row for row in rows if row[1] == VARIANT]
    own = _of(frames["shares"], PROJECTED, "compensate=True").iloc[0]
    counted = ("settings", "beyond", "sure", "dominated", "undecided", "off the curve")
    assert row[2:-2] == [str(own[name]) for name in counted]
    assert row[-2:] == [span(own[["share", "low", "high"]]), number(own["furthest"], ".3f")]


def _cells(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
