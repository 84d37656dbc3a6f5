"""Interventions: statistics against scipy's, figures that show them (never pixels), and the answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from run_factory import made_run
from scipy import stats
from tiny_experiments import EDITS

from sphere_theory.errors import InputError
from sphere_theory.experiments import energy_stabilization
from sphere_theory.experiments.energy_stabilization import EnergyStabilization
from sphere_theory.experiments.interventions import ARMS, CHECK, CONTRASTS, Intervention
from sphere_theory.hosts.base import METRICS
from sphere_theory.streams.store import RunStore
from sphere_theory.study.effects import COVARIATES, associations, averages, differences
from sphere_theory.study.markdown import span
from sphere_theory.study.question import Material
from sphere_theory.study.questions import cause
from sphere_theory.study.questions.cause import QUESTION
from sphere_theory.study.statistics import mean_interval

CASES = (("MiniLM layer 3", "memit-seq"), ("synthetic 4×8, power", "alphaedit"))
SIZES, SEEDS = (0.1, 0.4), 3


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Every number a formula of arm, size, seed and draw; "undo" has no large size on the second host."""
    rows = []
    for k, (host, editor) in enumerate(CASES):
        for seed in range(SEEDS):
            for place, arm in enumerate(ARMS):
                for size in SIZES[: 1 if (k, arm) == (1, "undo") else 2]:
                    for draw in range(2 if arm == "signs" else 1):
                        change = -size * (place + seed**2 / 10 + draw / 5 + k)
                        row = {"host": host, "editor": editor, "seed": seed, "edits": 300, "arm": arm}
                        row |= {"size": size, "draw": draw, "weight_change": size, "output_change": 2 * size}
                        row["energy_change"] = size * (place - 1) / 100 + seed / 1e4
                        for m, metric in enumerate(METRICS):
                            row[f"{metric}_change"] = change / (m + 1)
                            row[f"{metric}_before"] = 0.75
                            row[metric] = 0.75 + change / (m + 1)
                        rows.append(row)
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def streams() -> pd.DataFrame:
    rows = []
    for k, (host, editor) in enumerate(CASES):
        for seed in range(SEEDS):
            for place, arm in enumerate(energy_stabilization.ARMS):
                for edits in (100, 200, 300):
                    row = {"host": host, "editor": editor, "seed": seed, "planned": 300, "edits": edits}
                    row |= {"arm": arm, "energy_change": place * edits / 1e5, "step_share": 0.25 * (k + 1)}
                    rows.append(row | dict.fromkeys(METRICS, 1 / (1 + place + k + seed / 10)))
    return pd.DataFrame(rows)


def test_averages_are_students_over_seeds_of_averaged_draws(frame):
    found = averages(frame, ["efficacy_change"], ["size"])
    row = found[(found["arm"] == "signs") & (found["size"] == 0.4) & (found["host"] == CASES[0][0])].iloc[0]
    place = ARMS.index("signs")
    values = np.array([-0.4 * (place + seed**2 / 10 + 0.1) for seed in range(SEEDS)])
    low, high = stats.t.interval(0.95, SEEDS - 1, loc=values.mean(), scale=stats.sem(values))
    assert row[["mean", "low", "high"]].tolist() == pytest.approx([values.mean(), low, high])
    assert row["seeds"] == SEEDS


def test_differences_are_paired_by_seed(frame):
    found = differences(frame, [("HE raised", "HE lowered"), ("undo", "HE lowered")], ["size"])
    raised = found[(found["first"] == "HE raised") & (found["value"] == "efficacy")]
    # The part that seeds have in common is gone: no spread is left.
    assert raised["mean"].to_numpy() == pytest.approx(-raised["size"].to_numpy())
    assert (raised["high"] - raised["low"]).to_numpy() == pytest.approx(0, abs=1e-12)
    undone = found[(found["first"] == "undo") & (found["host"] == CASES[1][0])]
    assert undone["size"].unique().tolist() == [0.1]


def test_associations_are_scipys_of_each_seed(frame):
    found = associations(frame, leave=[CHECK])
    row = found[(found["covariate"] == "energy_change") & (found["value"] == "efficacy")].iloc[0]
    each = []
    for seed in range(SEEDS):
        own = frame[(frame["host"] == CASES[0][0]) & (frame["seed"] == seed) & (frame["arm"] != CHECK)]
        each.append(stats.spearmanr(own["energy_change"], own["efficacy_change"])[0])
    assert row["mean"] == pytest.approx(np.mean(each))
    still = frame.assign(efficacy_change=0.0)
    assert associations(still).query("value == 'efficacy'")["mean"].isna().all()


def test_a_missing_column_is_named(frame):
    with pytest.raises(InputError, match="frame: expected columns size"):
        averages(frame.drop(columns="size"), ["efficacy"], ["size"])


def _drawn(name: str, rows: pd.DataFrame):
    figure = QUESTION.figures[name]
    return figure.draw(figure.data(rows), "made")


def _lines(axes) -> dict[str, np.ndarray]:
    return {line.get_gid(): line.get_xydata() for line in axes.lines if line.get_gid()}


@pytest.mark.parametrize("metric", ["specificity", "generalisation"])
def test_doses_and_responses_are_the_stored_ones(frame, metric):
    figure = cause._draw_dose_response(cause._dose_response(frame, metric), "made", metric)
    assert len(figure.axes) == 2 * len(CASES)
    means = frame.groupby(["host", "arm", "size"])[
        ["energy_change", "output_change", f"{metric}_change"]
    ].mean()
    for place, axes in enumerate(figure.axes):
        host, column = CASES[place // 2][0], ("energy_change", "output_change")[place % 2]
        lines = _lines(axes)
        assert set(lines) == set(ARMS)
        for arm, drawn in lines.items():
            np.testing.assert_allclose(drawn, means.loc[host, arm][[column, f"{metric}_change"]])
    assert figure.axes[0].get_xscale() == "symlog"
    assert figure.axes[1].get_xscale() == "log"
    assert figure.axes[0].get_ylabel() == f"change of {metric}"
    assert "ΔHE" in figure.axes[-2].get_xlabel()
    about = figure.get_supxlabel()
    assert "3 seeds" in about
    assert "0.1, 0.4" in about
    assert "300 edits: 0.75" in about
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(cause._LOOKS)


def test_contrasts_have_a_mark_a_case(frame):
    figure = _drawn("contrasts", frame)
    assert len(figure.axes) == len(SIZES) * len(METRICS)
    found = differences(frame, CONTRASTS, ["size"])
    for place, axes in enumerate(figure.axes):
        size, metric = SIZES[place // 3], METRICS[place % 3]
        for k, (host, _) in enumerate(CASES):
            own = found[(found["size"] == size) & (found["value"] == metric) & (found["host"] == host)]
            np.testing.assert_array_equal(_lines(axes)[str(k)][:, 0], own["mean"])
        assert f"{size:g}" in axes.get_title(loc="left")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [f"{first} − {second}" for first, second in CONTRASTS]
    # The contrast that one case lacks at the larger size.
    assert len(_lines(figure.axes[3])["0"]) == len(CONTRASTS)
    assert len(_lines(figure.axes[3])["1"]) == len(CONTRASTS) - 1
    assert "no mark" in figure.get_supxlabel().lower()


def test_covariates_are_the_stored_correlations(frame):
    figure = _drawn("covariates", frame)
    found = associations(frame, leave=[CHECK])
    for axes, metric in zip(figure.axes, METRICS, strict=True):
        for k, (host, _) in enumerate(CASES):
            own = found[(found["value"] == metric) & (found["host"] == host)]
            np.testing.assert_array_equal(_lines(axes)[str(k)][:, 0], own["mean"])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(COVARIATES.values())
    assert f"{len(ARMS) - 1} kinds" in figure.get_supxlabel()


def test_streams_with_a_step_after_every_batch_show_every_arm(streams):
    figure = _drawn("energy-stabilization", streams)
    columns = ("energy_change", *METRICS)
    assert len(figure.axes) == len(CASES) * len(columns)
    means = streams.groupby(["host", "arm", "edits"])[list(columns)].mean()
    for place, axes in enumerate(figure.axes):
        host, column = CASES[place // 4][0], columns[place % 4]
        lines = _lines(axes)
        assert set(lines) == set(energy_stabilization.ARMS)
        for arm, drawn in lines.items():
            assert drawn[:, 0].tolist() == [100, 200, 300]
            np.testing.assert_allclose(drawn[:, 1], means.loc[host, arm][column])
        assert len(axes.collections) == len(energy_stabilization.ARMS)
    assert "0.25" in figure.get_supxlabel()
    assert "0.5" in figure.get_supxlabel()


def test_streams_are_compared_after_the_last_edit(streams):
    figure = _drawn("energy-stabilization-contrasts", streams)
    last = streams[streams["edits"] == 300]
    found = differences(last, energy_stabilization.CONTRASTS, ["planned"])
    for axes, metric in zip(figure.axes, METRICS, strict=True):
        for k, (host, _) in enumerate(CASES):
            own = found[(found["value"] == metric) & (found["host"] == host)]
            np.testing.assert_array_equal(_lines(axes)[str(k)][:, 0], own["mean"])
    assert "300 edits" in figure.get_supxlabel()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [f"{host}, {editor}" for host, editor in CASES]


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Rows of the streams in a store, and what is said of it."""
    folder = tmp_path_factory.mktemp("store")
    with RunStore(folder) as store:
        made_run(store)
        for seed in range(3):
            edits = EDITS | {"seed": seed}
            for task in (Intervention(**edits, sizes=(0.2,)), EnergyStabilization(**edits)):
                store.keep_experiment(task.name, task.config(), task.rows(folder / "keys"))
        material = Material(store)
        return material.rows(EnergyStabilization.name), list(QUESTION.answer(material))


def _cells(paragraph: str) -> list[list[str]]:
    lines = [line for line in paragraph.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_interventions_are_paired_by_seed(answered):
    rows, (*_, text) = answered
    last = rows[rows["edits"] == 20].pivot(index="seed", columns="arm", values="specificity")
    expected = span(mean_interval((last["HE held"] - last["none"]).to_numpy()), "+.3f")
    (row,) = [row for row in _cells(text) if row[2] == "HE held − none"]
    assert (row[3], row[-1]) == ("3", expected)


def test_the_answer_names_the_size_and_has_a_row_a_contrast(answered):
    _, (first, contrasts, *_) = answered
    assert "of relative size 0.2, first less second" in first
    assert {row[2] for row in _cells(contrasts)[1:]} <= {f"{one} − {other}" for one, other in CONTRASTS}


def test_a_store_without_interventions_says_nothing(tmp_path):
    with RunStore(tmp_path) as store:
        assert list(QUESTION.answer(Material(store))) == []


def test_streams_of_several_lengths_are_compared_at_the_longest(streams):
    longer = streams[streams["edits"] == 300].assign(planned=600, edits=600)
    figure = _drawn("energy-stabilization-contrasts", pd.concat([streams, longer]))
    assert len(_lines(figure.axes[0])["0"]) == len(energy_stabilization.CONTRASTS)
    assert "600 edits" in figure.get_supxlabel()


def test_every_case_has_three_seeds_at_least():
    for quick in (True, False):
        made = QUESTION.experiments(quick)
        for kind in (Intervention, EnergyStabilization):
            own = [task for task in made if isinstance(task, kind)]
            cases = {(task.host.label, task.editor) for task in own}
            assert len(own) >= 3 * len(cases)
            assert {task.host.name for task in own} == {"minilm", "synthetic"}
    assert len(QUESTION.experiments(True)) < len(QUESTION.experiments(False))
