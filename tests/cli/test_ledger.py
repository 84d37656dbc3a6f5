"""`sphere-theory claims` and `verify` as a user meets them; a whole run of verify is in test_verify."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import check_wrong_use, command

from sphere_theory import verify as job
from sphere_theory.claims import Context, Evidence, Finding, find_claim, run_evidence
from sphere_theory.errors import ModelError


def test_claims_lists_the_ledger_and_shows_one_with_its_proof(tmp_path):
    listed = command("claims")
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in ("O1", "O7", "E7", "B5", "M3", "P1", "P3"))
    shown = command("claims", "b1", "--out", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "refuted" in shown.stdout
    assert "Counterexample" in shown.stdout
    assert "Every step is established." in shown.stdout
    assert "40 examples; mutant" in shown.stdout
    assert "measured now, seed 0, quick budget" in shown.stdout


def _stored(folder: Path, claim: str, *, as_recorded: bool) -> None:
    evidence = Evidence("measurement", "a name", lambda context: Finding(as_recorded, "12 found", "by 3.5"))
    (result,) = run_evidence(find_claim(claim), [evidence], Context())
    job.write_report(job.report([result.record()], Context(seed=7), 1.0), folder)


def test_claims_shows_stored_numbers_and_the_counterexamples_of_what_it_corrects(tmp_path):
    _stored(tmp_path, "B4", as_recorded=True)
    shown = command("claims", "B4", "--out", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "12 found" in shown.stdout
    assert "by 3.5" in shown.stdout
    assert "seed 7, full budget" in shown.stdout
    _stored(tmp_path, "P1", as_recorded=True)
    shown = command("claims", "P1", "--out", str(tmp_path))  # without a proof of its own
    assert shown.returncode == 0, shown.stderr
    assert "see also" in shown.stdout
    assert "Counterexample (E7) to ΔHE = 0 implies a small ΔV" in shown.stdout
    assert "Counterexample (B2)" in shown.stdout


def test_claims_tells_a_stored_surprise(tmp_path):
    _stored(tmp_path, "P1", as_recorded=False)
    shown = command("claims", "P1", "--out", str(tmp_path))
    assert shown.returncode == 1
    assert "SURPRISE" in shown.stdout


def test_claims_without_the_model_shows_what_needs_none(tmp_path, monkeypatch):
    def missing(*_: object) -> None:
        raise ModelError("model", "the embedded model", "none")

    monkeypatch.setattr("sphere_theory.claims.context.open_checkpoint", missing)
    shown = command("claims", "E7", "--out", str(tmp_path))
    assert shown.returncode == 0
    assert "40 examples; mutant" in shown.stdout
    assert "not measured: model: expected the embedded model, got none" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["claims", "Z9"], "id: expected one of O1, O2"),
        (["verify", "--seed", "-1"], "--seed"),
        (["verify", "--device", "abacus"], "device: expected a device"),
    ],
)
def test_wrong_use(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_wrong_use(arguments, message)
