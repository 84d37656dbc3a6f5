"""The main job: what it stores, how it goes on after an interruption, what it draws."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from sphere_theory import verify as job
from sphere_theory.claims import Claim, Context, Evidence, Finding, Verdict


def _claim(name: str, runs: list[str], *, expected: bool = True, interrupted: bool = False) -> Claim:
    def run(context: Context) -> Finding:
        runs.append(name)
        if interrupted:
            raise KeyboardInterrupt
        return Finding(expected, f"{name} ran", "exact", {"value": math.inf})

    return Claim(
        name, "a statement", "x", "a source", "", Verdict.PROVED, (Evidence("symbolic", "proof", run),)
    )


def _unchecked(name: str) -> Claim:
    piece = Evidence("kernel", "proof in Coq", lambda context: Finding(True, "none", "none", checked=False))
    return Claim(name, "a statement", "x", "a source", "", Verdict.PROVED, (piece,))


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    runs: list[str] = []
    claims = [_claim("A", runs), _claim("B", runs, interrupted=True)]
    with pytest.raises(KeyboardInterrupt):
        list(job.run_ledger(claims, Context(), tmp_path))
    claims = [_claim("A", runs), _claim("B", runs)]
    records = list(job.run_ledger(claims, Context(), tmp_path))
    assert runs == ["A", "B", "B"]
    assert records == job.in_order(reversed(records), claims)
    assert [record["claim"] for record in records] == ["A", "B"]


def test_another_seed_starts_afresh(tmp_path):
    runs: list[str] = []
    list(job.run_ledger([_claim("A", runs)], Context(seed=0), tmp_path))
    list(job.run_ledger([_claim("A", runs)], Context(seed=1), tmp_path))
    assert runs == ["A", "A"]


def test_a_line_cut_short_is_run_again(tmp_path):
    runs: list[str] = []
    list(job.run_ledger([_claim("A", runs)], Context(), tmp_path))
    partial = tmp_path / "verify.partial.jsonl"
    partial.write_text(partial.read_text()[:-5])
    list(job.run_ledger([_claim("A", runs)], Context(), tmp_path))
    assert runs == ["A", "A"]


def test_the_report_names_surprises_and_is_plain_json(tmp_path):
    claims = [_claim("A", []), _claim("B", [], expected=False)]
    records = list(job.run_ledger(claims, Context(), tmp_path))
    path = job.write_report(job.report(records, Context(), 1.0), tmp_path)
    stored = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert stored["surprises"] == ["B"]
    assert stored["results"][0]["data"] == {"value": None}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["verify.json"]


def test_what_is_not_checked_is_told_and_is_no_surprise(tmp_path):
    records = list(job.run_ledger([_claim("A", []), _unchecked("B")], Context(), tmp_path))
    found = job.report(records, Context(), 1.0)
    assert found["surprises"] == []
    assert found["not_checked"] == ["B, proof in Coq"]
    line = job.verdict_line(found)
    assert line.endswith("every verdict is the recorded one; not checked here: B, proof in Coq.")


def test_the_verdict_line_counts_what_was_run_and_ruled_out(tmp_path):
    claims = [_claim("A", []), _claim("B", [], expected=False)]
    records = list(job.run_ledger(claims, Context(seed=7), tmp_path))
    mutants = [{"name": "x", "killed": True, "after": 1}, {"name": "y", "killed": False, "after": 2}]
    records[0]["data"]["mutants"] = mutants
    assert job.verdict_line(job.report(records, Context(seed=7), 2.0)) == (
        "2 claims, 2 pieces of evidence, 1 wrong versions ruled out, 2 s, seed 7: 1 SURPRISES, in B."
    )


def test_a_changed_proof_in_coq_or_estimate_is_another_source(monkeypatch):
    before = job.configuration(Context())["source"]
    for pattern in job._SOURCES:
        rest = tuple(other for other in job._SOURCES if other != pattern)
        monkeypatch.setattr(job, "_SOURCES", rest)
        assert job.configuration(Context())["source"] != before, f"{pattern} is not part of the source"
        monkeypatch.undo()


def test_the_configuration_changes_with_what_results_depend_on():
    context = Context()
    for other in (replace(context, seed=1), replace(context, quick=True), replace(context, device="meta")):
        assert job.configuration(other) != job.configuration(context)


def test_a_report_is_read_back_if_it_is_of_this_source(tmp_path):
    assert job.stored_report(tmp_path) is None
    found = job.report([], Context(), 1.0)
    path = job.write_report(found, tmp_path)
    assert job.stored_report(tmp_path) == found
    for other in (json.dumps(found | {"source": "0"}), "[]", "{", ""):
        path.write_text(other)
        assert job.stored_report(tmp_path) is None


def test_figures_take_the_records_of_their_claims_in_order():
    def result(claim: str, *records: dict) -> dict:
        return {"claim": claim, "data": {"counterexamples": list(records)}}

    found = {
        "results": [result("B2", {"W": 1}), {"claim": "B2", "data": {}}, result("B1", {"W": 2}, {"W": 3})]
    }
    assert job._records(found, ("B1", "B2"), "counterexamples") == [
        {"claim": "B1", "W": 2},
        {"claim": "B1", "W": 3},
        {"claim": "B2", "W": 1},
    ]
    assert job._records(found, ("B3",), "counterexamples") == []


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    """The real thing, once: every test below reads what it printed and wrote."""
    pytest.importorskip("transformers", reason="needs the extra 'minilm'")
    folder = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-m", "sphere_theory.cli", "verify", "--quick", "--out", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False), folder


def test_every_verdict_is_the_recorded_one(quick_run):
    ran, folder = quick_run
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "every verdict is the recorded one" in ran.stdout.splitlines()[-1]
    stored = json.loads((folder / "verify.json").read_text())
    assert stored["surprises"] == []
    kinds = [record["kind"] for record in stored["results"]]
    assert set(kinds) == {"symbolic", "kernel", "property", "measurement"}
    mutants = [one for record in stored["results"] for one in record["data"].get("mutants", ())]
    assert len(mutants) > 3 * 31
    assert all(one["killed"] for one in mutants)
    assert all(record["summary"] and record["margin"] for record in stored["results"])


def test_the_measured_numbers_are_those_of_the_layer(quick_run):
    results = json.loads((quick_run[1] / "verify.json").read_text())["results"]
    named = {record["evidence"]: record["data"] for record in results}
    (share,) = named["share of ‖∇HE‖² in span(U)"]["rows"]
    assert (share["layer"], share["rank"]) == (3, 71)
    assert share["share"] == pytest.approx(0.3626, abs=5e-4)
    rows = named["HE/uniform of every FFN and attention matrix"]["rows"]
    assert len(rows) == 36


def test_every_figure_is_written_complete(quick_run):
    ran, folder = quick_run
    for name in job.FIGURES:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.svg").read_text().rstrip().endswith("</svg>")
        assert f"{name}.png" in ran.stdout
    assert not list(folder.glob("*partial*"))
