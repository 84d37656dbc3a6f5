"""Theorem 1 along streams and probed: which runs, counts, figures that show what is stored, what is said."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from point_factory import HOST, runs, together
from run_factory import made_run, made_study

from sphere_theory.experiments.probe import SIZES, SYNTHETIC, Probe
from sphere_theory.streams.store import RunStore
from sphere_theory.study.estimates import VERDICTS, Audited
from sphere_theory.study.markdown import number
from sphere_theory.study.question import Chosen, Material
from sphere_theory.study.questions.theorem import (
    QUESTION,
    audit_counts,
    audited,
    audits,
    lasting,
    violations,
)
from sphere_theory.study.run_table import load_points

STRESS = QUESTION.figures["stress"]
COUNTS = {"holds": 3, "violated": 1, "undecided": 0, "not applicable": 2}
AUDITED = Audited(6, 2, {"step": {"triangle": COUNTS}, "total": {"triangle": COUNTS}})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theorem")
    with RunStore(folder) as store:
        made_study(store)
        task = Probe(shape=(4, 3), sizes=(1e-3,))
        store.keep_experiment(task.name, task.config(), task.rows(folder))
        yield store


@pytest.fixture(scope="module")
def points(store):
    return load_points(store)


# --- audits along streams -------------------------------------------------------------------------


def test_another_hosts_runs_are_never_taken():
    own = together(runs(), runs(sphere=(0.5, 0.8)))
    assert not len(audited(own, "another host"))
    mixed = together(own, own.assign(host="another host"))
    assert set(audited(mixed, HOST)["host"]) == {HOST}
    assert len(audited(mixed, HOST)) == len(audited(own, HOST))


def test_audited_are_the_longest_courses_with_a_path_bound():
    longest = runs("memit", planned=4000, points=20)
    unsure = runs("rect", planned=8000, points=20, drop=("path_bound",))
    chosen = audited(together(longest, unsure), HOST)
    assert set(chosen["editor"]) == {"memit"}
    assert not len(audited(runs().drop(columns=["total_sign"]), HOST))


def test_audits_are_counted_over_all_streams(points):
    found = audit_counts(points)
    assert (found.points, found.streams) == (len(points), points["run"].nunique())
    assert list(found.counts) == ["step", "total"]
    for way, kinds in found.counts.items():
        for kind, counts in kinds.items():
            assert list(counts) == list(VERDICTS)
            assert counts == {name: (points[f"{way}_{kind}"] == name).sum() for name in VERDICTS}
    # Of a constant that some of the streams do not have nothing is said.
    some = points.assign(total_triangle=points["total_triangle"].where(points["seed"] > 0))
    assert set(found.counts["total"]) - set(audit_counts(some).counts["total"]) == {"triangle"}
    assert audit_counts(points.drop(columns="total_certified")) is None


def test_a_verdict_that_never_occurs_has_no_column():
    (_, plain) = audits(AUDITED)
    assert "undecided" not in plain
    some = {"step": {"triangle": COUNTS | {"undecided": 7}}, "total": {}}
    (_, shown) = audits(Audited(6, 2, some))
    assert "| of | constant | holds | violated | undecided | not applicable |" in shown
    assert "| single steps | K triangle | 3 | 1 | 7 | 2 |" in shown


def test_under_stress_each_run_has_a_line_and_each_editor_a_bar(store, points):
    found = STRESS.data(Chosen(store, points, 10))
    figure = STRESS.draw(found, "about")
    axes = {one.get_label(): one for one in figure.axes}
    status = axes.pop("status")
    each = [run for _, run in points.groupby(["base", "editor", "run"], sort=False)]
    assert len(axes) == 4
    for column, panel in axes.items():
        drawn = [line for line in panel.lines if not line.get_label().startswith("_")]
        for line, run in zip(drawn, each, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), run[["edits", column]])
            assert line.get_linestyle() == ("-" if run["eta"].isna().all() else "--")
    until = lasting(points).groupby("editor", sort=False)[["apart", "sign"]].mean()
    widths = [bar.get_width() for bar in status.patches]
    np.testing.assert_allclose(widths, until.to_numpy().ravel())
    assert [text.get_text() for text in status.get_yticklabels()] == list(until.index)
    assert f"violated at 0 of {len(points):,} points" in figure.get_supxlabel().replace("\n", " ")


def test_what_lasts_is_the_end_of_the_unbroken_beginning(tmp_path):
    with RunStore(tmp_path) as store:
        made_run(store, collapse=500.0)
        made_run(store, collapse=10.0, seed=1)
        found = lasting(load_points(store))
    # The gap is above 0 before edit 500, and above one half, for the sign, before edit 250.
    assert found[["apart", "sign"]].to_numpy().tolist() == [[450, 200], [0, 0]]


# --- probes ---------------------------------------------------------------------------------------


def _cell(direction: str, size: float, constant: str, *, violations: int, tightness: float | str, **more):
    counts = {"n": 4, "d": 3, "trials": 2, "applicable": 2, "violations": violations}
    labels = {"direction": direction, "size": size, "constant": constant, "inputs": "orthonormal"}
    return labels | counts | {"tightness": tightness} | more


def _panel(axes) -> tuple[np.ndarray, list[list[str]]]:
    rates = np.ma.filled(axes.images[0].get_array(), np.nan)
    texts = {(text.get_position()): text.get_text() for text in axes.texts}
    return rates, [[texts[x, y] for x in range(rates.shape[1])] for y in range(rates.shape[0])]


def test_the_map_of_violations_has_the_rate_and_the_worst_of_each_cell():
    rows = [
        _cell("random", 1e-3, "gradient", violations=0, tightness=2e-4),
        _cell("ascent", 1e-3, "gradient", violations=1, tightness=1.5),
        _cell("ascent", 1.0, "gradient", violations=2, tightness="inf"),
        _cell("ascent", 1e-3, "gradient", violations=2, tightness=7.0, inputs="partial"),
        _cell("random", 1e-3, "unconditional", violations=0, tightness=0.25),
        _cell("random", 1e-3, "unconditional", violations=0, tightness=0.5, inputs="deficient"),
        _cell("random", 1.0, "unconditional", violations=0, tightness="nan", applicable=0),
    ]
    drawn = violations(rows)
    complete, partial, triangle, proved = (axes for axes in drawn.axes if axes.images)
    rates, numbers = _panel(complete)
    np.testing.assert_array_equal(rates, [[0, np.nan], [0.5, 1]])
    assert numbers == [["2e-4", "–"], ["1.5", "∞"]]
    assert [label.get_text() for label in complete.get_yticklabels()] == ["random", "ascent"]
    assert [label.get_text() for label in complete.get_xticklabels()] == ["1e-03", "1e+00"]
    assert _panel(partial)[1] == [["–", "–"], ["7", "–"]]
    assert np.isnan(_panel(triangle)[0]).all()
    assert _panel(proved)[1] == [["0.5", "–"], ["–", "–"]]
    assert "8 edits of Gaussian weights (n×d: 4×3)" in drawn.get_supxlabel().replace("\n", " ")


def test_real_layers_have_the_panels_of_real_keys_and_their_names():
    rows = [
        _cell("random", 1e-3, constant, violations=0, tightness=0.5, inputs="activations", layer=layer)
        for constant in ("gradient", "unconditional")
        for layer in (3, 0)
    ]
    drawn = violations(rows)
    names = [axes.get_title(loc="left") for axes in drawn.axes if axes.images]
    assert names == ["K gradient, real keys", "K*, real keys"]
    assert f"4 edits of {Probe.family.title} layer 0, 3 " in drawn.get_supxlabel().replace("\n", " ")


def test_probes_of_weights_and_of_layers_are_two_figures(tmp_path):
    with RunStore(tmp_path) as store:
        for layer in (SYNTHETIC, 3):
            task = Probe(layer=layer)
            store.keep_experiment(task.name, task.config(), [{"of": layer}])
        rows = Material(store).rows(Probe.name)
    for name, layer in (("bound", SYNTHETIC), ("bound-real", 3)):
        figure = QUESTION.figures[name]
        assert figure.experiment == Probe.name
        assert figure.which(rows)["of"].tolist() == [layer]


def test_the_figure_of_probes_shows_all_of_their_rows(store):
    figure = QUESTION.figures["bound"]
    rows = Material(store).rows(Probe.name)
    drawn = figure.draw(figure.data(figure.which(rows)), "about")
    assert sum(bool(axes.images) for axes in drawn.axes) == 4
    trials = rows[rows["constant"] == "gradient"]["trials"].sum()
    assert f"{trials:,} edits of Gaussian weights" in drawn.get_supxlabel().replace("\n", " ")


def test_inputs_that_the_theorem_lacks_do_not_mix_with_those_that_it_has(store):
    material = Material(store)
    probe = material.rows(Probe.name)
    text = "\n".join(QUESTION.answer(material)).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text if line.startswith("|")]
    gaussian = [row for row in cells if row[0] == "Gaussian"]
    assert len(gaussian) == len(probe.groupby(["inputs", "constant"]))
    for row in gaussian:
        own = probe[(probe["inputs"] == row[1]) & ("K " + probe["constant"] == row[2])]
        assert row[3:6] == [f"{own[name].sum():,}" for name in ("trials", "applicable", "violations")]
        assert row[6] == number(own["tightness"].max(), ".1e")


@pytest.mark.parametrize("quick", [False, True])
def test_experiments_have_three_seeds_of_weights_and_of_a_real_layer(quick):
    found = QUESTION.experiments(quick)
    assert len(set(found)) == len(found)
    shapes = {task.shape for task in found if task.layer == SYNTHETIC}
    for shape in shapes:
        assert {task.seed for task in found if (task.layer, task.shape) == (SYNTHETIC, shape)} == {0, 1, 2}
    assert {task.seed for task in found if task.layer == 3} == {0, 1, 2}
    assert not any(task.alone for task in found)
    for task in found:
        assert set(task.sizes) <= set(SIZES)
        assert json.loads(json.dumps(task.config())) == {**task.config(), **_listed(task)}
    assert len(QUESTION.experiments(True)) < len(QUESTION.experiments(False))


def _listed(task: Probe) -> dict[str, object]:
    return {key: list(value) for key, value in task.config().items() if isinstance(value, tuple)}


def test_an_empty_store_says_nothing_of_it(tmp_path):
    with RunStore(tmp_path) as store:
        material = Material(store)
        material.__dict__["points"] = pd.DataFrame({"edits": []})
        assert not list(QUESTION.answer(material))
