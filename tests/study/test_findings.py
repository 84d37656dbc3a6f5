"""Findings: the same text from the same store, numbers that are the store's, and nothing half written."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from run_factory import made_run, made_study
from tiny_experiments import keep_tiny

from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.streams.store import RunStore
from sphere_theory.study.choices import paired
from sphere_theory.study.estimates import Estimates
from sphere_theory.study.findings import findings, write_findings
from sphere_theory.study.markdown import number, span
from sphere_theory.study.question import Lines, Material, Question, questions
from sphere_theory.study.questions.prediction import host_estimates
from sphere_theory.study.questions.principal_space import QUESTION as TURNING
from sphere_theory.study.questions.protection import gains
from sphere_theory.study.questions.theorem import audit_counts
from sphere_theory.study.run_table import experiment_rows, load_points
from sphere_theory.study.statistics import mean_interval

NOTHING = "The store holds nothing about it."
SECTIONS = questions()


@pytest.fixture(scope="module")
def filled(shared_folder):
    """A store with something to say to every question that a store of layers can answer."""
    folder = shared_folder / "filled"
    with RunStore(folder) as store:
        made_study(store)
        for seed in range(3):
            same = {"seed": seed, "collapse": 900.0 + seed, "planned": 600}
            for basis in ("pretrained", "current"):
                options = {"options": {"basis": basis}, "sphere": (0.5, 0.8)}
                made_run(store, **same | options, energy=0.02 if basis == "current" else 0.01)
            for eta in (0.3, 0.5, 0.7):
                for alpha in (0.5, 1.0):
                    made_run(store, sphere=(eta, alpha), **same | {"collapse": 800 * alpha})
            for ridge in (1.0, 1e3, 1e6):
                made_run(store, settings={"ridge": ridge}, **same | {"size": 10 / ridge}, step=1 / ridge)
        keep_tiny(store, folder / "keys")
    return folder


@pytest.fixture(scope="module")
def text(filled):
    with RunStore(filled) as store:
        return findings(store)


def _section(text: str, question: str) -> str:
    (found,) = [part for part in re.split(r"^## ", text, flags=re.M) if part.startswith(question)]
    return found


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_question_is_there_with_who_asked_and_what_is_not_tested(text):
    headings = [*(one.question for one in SECTIONS), "Computed with"]
    assert re.findall(r"^## (.*)$", text, flags=re.M) == headings
    for one in SECTIONS:
        own = _section(text, one.question)
        assert f"Asked by: {one.asked}." in own
        assert own.rstrip().endswith(f"Not tested: {one.untested}")


def test_a_filled_store_is_silent_on_language_models_alone(text):
    silent = [one.question for one in SECTIONS if NOTHING in _section(text, one.question)]
    assert silent == ["Does keeping uniformity keep coding and mathematical reasoning?"]
    assert "nan" not in text
    assert "None" not in text


def test_the_head_says_how_many_rivals_a_value_has(text):
    head = text[: text.index("\n## ")]
    assert "Runs are in float64, among 1000 edited and 100 preserved values.\n" in head


def test_tables_are_whole(text):
    for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.M):
        lines = block.splitlines()
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in lines}
        assert len(lines) > 2
        assert len(widths) == 1, block


def test_the_same_store_says_the_same_byte_for_byte(filled, text, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(filled, copy)
    with RunStore(copy) as store:
        write_findings(store, tmp_path / "docs" / "findings.md")
        material = Material(store)
        expected = Estimates(host_estimates(material), audit_counts(material.points))
    assert (tmp_path / "docs" / "findings.md").read_bytes() == text.encode()
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == ["findings.json", "findings.md"]
    assert (tmp_path / "docs" / "findings.json").read_text() == expected.json()


def test_gains_are_those_of_the_store(filled, text):
    with RunStore(filled) as store:
        points = load_points(store)
    (host,) = points["host"].unique()
    found = gains(paired(points, host))
    rows = _rows(_section(text, "Does projecting edits protect"))
    assert rows[0] == ["editor", *METRICS]
    assert len(rows[1:]) == found["base"].nunique() == 3
    for base, *cells in rows[1:]:
        own = found[found["base"] == base].set_index("metric")
        assert cells == [span(own.loc[m, ["gain", "low", "high"]], "+.3f") for m in METRICS]


def test_audits_are_counted(filled, text):
    with RunStore(filled) as store:
        points = load_points(store)
    rows = _rows(_section(text, "Does |ΔV|"))
    for words, column in (("single steps", "step_certified"), ("whole ways", "total_certified")):
        counts = points[column].value_counts()
        cells = [f"{counts.get(name, 0):,}" for name in ("holds", "violated", "not applicable")]
        assert [words, "K certified", *cells] in rows
    # The triangle is "violated" in every made row.
    assert ["whole ways", "K triangle", "0", f"{len(points):,}", "0"] in rows


def test_keys_are_described_by_their_rows(filled, text):
    with RunStore(filled) as store:
        keys = experiment_rows(store, "keys")
    sets = keys[(keys["kind"] == "set") & (keys["of"] == "preserved") & (keys["keys"] == 10)]
    ratio = keys[keys["kind"] == "spectrum"]["participation"].mean()
    off = span(mean_interval(sets["error_best"].to_numpy()), ".3f")
    assert len(sets) == 3
    row = ["gaussian keys, power spectrum", off, number(ratio, ".1f"), "20"]
    assert row in _rows(_section(text, "Are real keys orthonormal"))


def test_the_projection_costs_what_its_rows_say(text):
    # 10%, 11% and 12% of the solve on three seeds.
    assert f"memit {span(mean_interval(np.array([0.1, 0.11, 0.12])), '.1%')}" in _section(
        text, "What does the projection cost"
    )


def test_interventions_are_paired_by_seed(filled, text):
    with RunStore(filled) as store:
        frame = experiment_rows(store, "energy-stabilization")
    last = frame[frame["edits"] == 20].pivot(index="seed", columns="arm", values="specificity")
    expected = span(mean_interval((last["HE held"] - last["none"]).to_numpy()), "+.3f")
    (row,) = [row for row in _rows(_section(text, "Is energy a cause")) if row[2] == "HE held − none"]
    assert (row[3], row[-1]) == ("3", expected)


def test_without_data_sections_say_so(tmp_path):
    with RunStore(tmp_path) as store:
        made_run(store)
        text = findings(store)
    silent = [one.question for one in SECTIONS if NOTHING in _section(text, one.question)]
    assert len(silent) == len(SECTIONS) - 1
    assert "Audits at 20 points of 1 streams" in _section(text, "Does |ΔV|")


def test_a_store_without_runs_is_refused_and_the_file_stays(tmp_path):
    out = tmp_path / "findings.md"
    out.write_text("as it was")
    with RunStore(tmp_path / "runs") as store, pytest.raises(InputError, match="runs with all measures"):
        write_findings(store, out)
    assert out.read_text() == "as it was"


def test_a_failure_on_the_way_leaves_the_file_as_it_was(filled, tmp_path, monkeypatch):
    out = tmp_path / "findings.md"
    out.write_text("as it was")

    def fails(material: Material) -> Lines:
        yield "half of it"
        raise InputError("points", "some", "none")

    broken = Question(99, "Why?", "nobody", fails, "all")
    monkeypatch.setattr("sphere_theory.study.findings.questions", lambda: [*SECTIONS[2:3], broken])
    with RunStore(filled) as store, pytest.raises(InputError, match="points"):
        write_findings(store, out)
    assert [path.name for path in tmp_path.iterdir()] == ["findings.md"]
    assert out.read_text() == "as it was"


def test_a_file_that_cannot_be_written(filled, tmp_path, monkeypatch):
    monkeypatch.setattr("sphere_theory.study.findings.questions", lambda: SECTIONS[2:3])
    (tmp_path / "file").write_text("")
    with RunStore(filled) as store, pytest.raises(InputError, match="out: expected a file that can be"):
        write_findings(store, tmp_path / "file" / "findings.md")


def test_settings_of_one_editor_are_told_apart(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            for ridge, energy in ((15.0, 0.01), (150.0, 0.03)):
                same = {"seed": seed, "settings": {"ridge": ridge}, "planned": 500}
                for basis in ("pretrained", "current"):
                    made_run(store, sphere=(0.5, 0.8), options={"basis": basis}, energy=energy, **same)
        lines = "\n".join(TURNING.answer(Material(store)))
    assert [row[0] for row in _rows(lines)].count("memit-seq + SPHERE") == 2
    assert [row[0] for row in _rows(lines)].count("memit-seq") == 2


def test_what_it_was_computed_with_is_counted(filled, text):
    with RunStore(filled) as store:
        runs, experiments = store.environments().values()
    section = _section(text, "Computed with")
    found = [
        (int(count), what) for count, what in re.findall(r"- (\d+) (runs|experiments): package", section)
    ]
    for what, environments in (("runs", runs), ("experiments", experiments)):
        assert sum(count for count, kind in found if kind == what) == len(environments) > 0
    assert all(environment["source"] in section for environment in experiments)
