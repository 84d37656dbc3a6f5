"""What predicts how long editing lasts: the figures show the stored values, and what is said is estimated."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_factory import made_run, made_study

from sphere_theory.hosts.base import METRICS
from sphere_theory.streams.store import RunStore
from sphere_theory.study.choices import courses
from sphere_theory.study.collapses import approaches
from sphere_theory.study.early_warning import SIGNALS, alarms, verdicts
from sphere_theory.study.estimates import ENERGY, committed_estimates
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.question import Chosen, Material
from sphere_theory.study.questions import prediction
from sphere_theory.study.questions.prediction import LABELS, QUESTION, host_estimates
from sphere_theory.study.rank_correlation import KINDS, correlations
from sphere_theory.study.statistics import mean_interval

FINDINGS = Path(__file__).parents[3] / "docs" / "findings.md"
ROWS = prediction._ROWS


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("study")) as store:
        made_study(store)
        yield Material(store, samples=20)


@pytest.fixture(scope="module")
def points(material):
    return material.points


def _drawn(name, material, points):
    one, chosen = QUESTION.figures[name], Chosen(material.store, points, samples=20)
    return one.draw(one.data(chosen), chosen.about)


def _lines(axes, name):
    return [line for line in axes.lines if line.get_label() == name]


# --- along streams -------------------------------------------------------------------------------


def test_an_energy_close_to_uniform_is_written_out(material, points):
    figure = _drawn("streams", material, points.assign(energy_uniform=1 + 1e-4 * points["seed"]))
    figure.canvas.draw()
    axes = figure.axes[3 * list(ROWS).index("energy_uniform")]
    labels = [label.get_text() for label in axes.get_yticklabels() if label.get_text()]
    assert labels
    assert all(label.startswith(("0.999", "1.000")) for label in labels)
    assert not axes.yaxis.get_offset_text().get_text()


def test_curves_have_a_line_a_seed_and_their_mean(material, points):
    figure = _drawn("streams", material, points)
    assert len(figure.axes) == len(ROWS) * 3
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["memit", "memit-seq", "alphaedit"]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == list(ROWS.values())
    assert {axes.get_xlabel() for axes in figure.axes[-3:]} == {"edits"}
    for row, column in enumerate(ROWS):
        axes, own = figure.axes[3 * row], points[points["editor"] == "memit + SPHERE"]
        thin, (mean,) = _lines(axes, "_memit + SPHERE"), _lines(axes, "memit + SPHERE")
        for line, (_, run) in zip(thin, own.groupby("run", sort=False), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), run[["edits", column]])
        expected = own.groupby("edits")[column].mean()
        np.testing.assert_allclose(mean.get_ydata(), expected)
        band = axes.collections[1].get_paths()[0].vertices
        low, high = mean_interval(own[own["edits"] == 500][column].to_numpy())[1:]
        drawn = band[band[:, 0] == 500][:, 1]
        np.testing.assert_allclose([drawn.min(), drawn.max()], np.clip([low, high], *axes.get_ylim()))


def test_curves_say_how_many_runs_and_seeds(material, points):
    caption = _drawn("streams", material, points).get_supxlabel().replace("\n", " ")
    assert (
        "recorded made keys, random order, 16×24. 18 runs on 3 seeds, batches of 50, 1,000 edits" in caption
    )


def test_editors_with_too_few_seeds_are_left_out(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            made_run(store, seed=seed)
        made_run(store, "memit")
        material = Material(store)
        ((_, chosen),) = material.of_hosts(QUESTION.figures["streams"].choose)
        assert set(chosen["base"]) == {"memit-seq"}
        assert not list(material.of_hosts(QUESTION.figures["warning"].choose))
        assert not list(QUESTION.answer(material))


# --- correlations and warnings -------------------------------------------------------------------


def test_the_forest_has_a_mark_for_each_predictor_and_kind(material, points):
    found = correlations(points, samples=20)
    figure = _drawn("correlation", material, points)
    panel = figure.axes[METRICS.index("specificity")]
    assert panel.get_title(loc="left") == "specificity, before collapse"
    assert figure.axes[-1].get_title(loc="left") == "specificity, overall"
    assert panel.get_xlabel() == ""
    assert figure.axes[-1].get_xlabel() == "Spearman's ρ"
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(PREDICTORS.values())
    own = found[(found["metric"] == "specificity") & (found["phase"] == "before_collapse")]
    for kind in KINDS:
        (marks,) = [line for line in panel.lines if line.get_gid() == kind]
        np.testing.assert_array_equal(marks.get_xdata(), own[own["kind"] == kind]["value"])
        np.testing.assert_array_equal(np.round(marks.get_ydata()), range(len(PREDICTORS)))
    assert f"overall: {len(points)} points of 18 runs" in figure.get_supxlabel().replace("\n", " ")
    assert len(figure.legends[0].get_texts()) == len(KINDS)


def test_the_warning_figure_ranks_signals(material, points):
    rows = approaches(points)
    found = verdicts(rows, alarms(rows, by="base"), samples=20)
    figure = _drawn("warning", material, points)
    area, shares, lead = figure.axes
    table = found.sort_values("area", ascending=False)
    assert [text.get_text() for text in area.get_yticklabels()] == [LABELS[s] for s in table["signal"]]
    np.testing.assert_array_equal(area.lines[0].get_xdata(), table["area"])
    np.testing.assert_array_equal(shares.lines[0].get_xdata(), table["warned"])
    np.testing.assert_array_equal(shares.lines[1].get_xdata(), table["early"])
    np.testing.assert_array_equal(lead.lines[0].get_xdata(), table["lead"])
    assert [text.get_text() for text in lead.texts] == [f"n = {n}" for n in table["warnings"]]
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "Near: at most 200 edits before efficacy or specificity falls below 0.5." in caption
    assert "near against far points of 18 runs" in caption
    assert "thresholds that 10% of the far points of other editors pass." in caption


def test_every_signal_has_a_name_in_words():
    assert list(LABELS) == list(SIGNALS)
    assert prediction._labels(pd.Index(["edits", "lost"])) == (LABELS["edits"], LABELS["lost"])
    assert prediction._labels(pd.Index(np.array([], dtype=object))) == ()


# --- what is estimated, and said of it -----------------------------------------------------------


def test_estimates_are_those_of_the_statistics(material):
    (host,) = host_estimates(material)
    points = courses(material.points, host.host)
    assert (host.runs, host.seeds, host.edits) == (18, 3, 1000)
    assert [(one.name, one.label) for one in host.signals] == list(PREDICTORS.items())
    found = correlations(points, samples=20)
    found = found[(found["phase"] == "before_collapse") & (found["metric"] == "efficacy")]
    rows = approaches(points)
    warned = verdicts(rows, alarms(rows, by="base"), samples=20).set_index("signal")
    for one in host.signals:
        own = found[found["predictor"] == one.name].set_index("kind")["value"]
        assert one.correlation.value == round(own["pooled"], 6)
        assert one.given_edits.value == round(own["given_edits"], 6) or math.isnan(own["given_edits"])
        assert (one.area.value, one.area.low) == tuple(warned.loc[one.name, ["area", "low"]].round(6))
    assert host.better == tuple(LABELS[name] for name in warned.index[warned["beyond_low"] > 0])
    assert host.worse == tuple(LABELS[name] for name in warned.index[warned["beyond_high"] < 0])


def test_the_answer_prints_the_estimates_number_by_number(material):
    (host,) = host_estimates(material)
    head, block, named = QUESTION.answer(material)
    assert head == f"**{host.host}** (18 runs, 3 seeds, to 1,000 edits):"
    assert named.startswith("Better warnings than |ΔHE| (interval of the difference above 0): ")
    for line, one in zip(block.splitlines()[2:], host.signals, strict=True):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert cells[0].replace("\\|", "|") == one.label
        assert cells[1:4] == [str(one.correlation), str(one.given_edits), str(one.area)]


def test_the_estimates_of_a_store_are_made_once(material):
    assert host_estimates(material) is host_estimates(material)
    assert host_estimates(Material(material.store, samples=10)) is not host_estimates(material)


def _section() -> str:
    parts = re.split(r"^## ", FINDINGS.read_text(encoding="utf-8"), flags=re.M)
    return next(part for part in parts if part.startswith(QUESTION.question))


def test_the_committed_findings_print_the_committed_estimates_number_by_number():
    found = committed_estimates()
    printed = "\n\n".join(line for host in found.hosts for line in prediction._paragraphs(host))
    section = _section()
    assert printed in section
    # Nothing else is in that section: its head, the tables, and what was not tested.
    assert len(section) - len(printed) < 300


def test_a_changed_number_shows_in_the_findings():
    section = _section()
    for host in committed_estimates().hosts:
        assert host.signal(ENERGY).correlation.known
        for k, one in enumerate(host.signals):
            value = one.area.value
            other = replace(one, area=replace(one.area, value=value + (0.01 if value < 0.9 else -0.01)))
            signals = (*host.signals[:k], other, *host.signals[k + 1 :])
            changed = replace(host, signals=signals)
            assert "\n\n".join(prediction._paragraphs(changed)) not in section
