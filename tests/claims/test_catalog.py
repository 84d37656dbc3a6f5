"""The ledger is complete: every claim in plain words, with evidence that rules out wrong versions of it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sphere_theory.claims import (
    Context,
    Outcome,
    Verdict,
    find_claim,
    ledger,
)
from sphere_theory.claims.catalog import base
from sphere_theory.claims.catalog.base import kernel_finding
from sphere_theory.claims.catalog.mechanisms import predicting_by_host, predicting_in_plain_words
from sphere_theory.claims.properties import PROPERTIES
from sphere_theory.errors import RangeError
from sphere_theory.proofs import PROOFS
from sphere_theory.proofs.kernel import KERNEL_PROOFS, KernelOutcome
from sphere_theory.proofs.kernel.check import TheoremOutcome
from sphere_theory.study.estimates import ENERGY, SIZE, Estimates, committed_estimates


def test_every_claim_is_named_once_and_has_evidence():
    claims = ledger()
    assert len({claim.id for claim in claims}) == len(claims) == 31
    for claim in claims:
        assert claim.statement, claim.id
        assert claim.latex, claim.id
        assert claim.source, claim.id
        assert claim.evidence, claim.id


@pytest.mark.parametrize("claim", ledger(), ids=lambda claim: claim.id)
def test_the_verdict_of_every_claim_is_one_plain_sentence(claim):
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", claim.plain), claim.plain
    assert not re.search(r"[.!?] [A-Z]", claim.plain), "more than one sentence"
    assert len(claim.plain) <= 200
    assert "\\" not in claim.plain


@pytest.mark.parametrize("claim", ledger(), ids=lambda claim: claim.id)
def test_evidence_rules_out_at_least_three_wrong_versions_of_every_claim(claim):
    names = [name for piece in claim.evidence for name in piece.mutants]
    assert len(set(names)) >= 3, names


def test_every_proof_and_every_property_is_evidence_for_a_claim():
    kinds = {claim.id: [piece.kind for piece in claim.evidence] for claim in ledger()}
    for known, kind in ((PROOFS, "symbolic"), (KERNEL_PROOFS, "kernel"), (PROPERTIES, "property")):
        assert set(known) <= set(kinds)
        assert all(kind in kinds[name] for name in known)


def test_what_a_claim_refers_to_is_there():
    named = {claim.id for claim in ledger()}
    for claim in ledger():
        assert set(claim.see) <= named - {claim.id}, claim.id


def test_what_is_open_says_what_is_known():
    undecided = [claim for claim in ledger() if claim.verdict is Verdict.OPEN]
    assert [claim.id for claim in undecided] == ["P1"]
    assert all(claim.corrected and claim.evidence for claim in undecided)


def test_what_is_not_plainly_true_says_what_is_true_instead():
    for claim in ledger():
        if claim.verdict in (Verdict.REFUTED, Verdict.CORRECTED):
            assert claim.corrected, claim.id


def test_an_unknown_claim_is_answered_with_the_known_ones():
    with pytest.raises(RangeError, match=r"id: expected one of O1, .*, got 'Z1'"):
        find_claim("Z1")
    assert find_claim("b5").id == "B5"


# --- the kernel ---------------------------------------------------------------------------------------


def _said(status: str, reason: str = "") -> KernelOutcome:
    theorems = tuple(TheoremOutcome(one, status, reason) for one in KERNEL_PROOFS["B8"].theorems)
    version = "" if status == "not checked" else "8.16.1"
    return KernelOutcome("B8", status, reason, theorems, version, 4.0)


def test_a_kernel_proof_that_is_not_checked_here_is_no_proof_and_no_surprise():
    finding = kernel_finding(_said("not checked", "coqc is not installed"))
    assert finding.outcome is Outcome.UNCHECKED
    assert finding.summary == "kernel proof not checked here: coqc is not installed"
    assert "proved" not in finding.summary + finding.margin
    assert {one["status"] for one in finding.data["theorems"]} == {"not checked"}


def test_a_kernel_proof_that_fails_is_a_surprise():
    finding = kernel_finding(_said("failed", "coqc says no"))
    assert finding.outcome is Outcome.SURPRISE
    assert "FAILED" in finding.summary


def test_a_kernel_proof_that_holds_supports_its_claim(monkeypatch):
    monkeypatch.setattr("sphere_theory.proofs.kernel.check_kernel", lambda claim: _said("proved"))
    (piece,) = [piece for piece in find_claim("B8").evidence if piece.kind == "kernel"]
    finding = piece.run(Context())
    assert finding.outcome is Outcome.RECORDED
    assert "proved by the kernel of Coq 8.16.1" in finding.summary
    assert finding.margin == "exact"


def test_a_failed_step_is_a_surprise(monkeypatch):
    proof = base.prove("O2")
    broken = replace(proof.steps[0], establish=lambda: False)
    monkeypatch.setattr(base, "prove", lambda id: replace(proof, steps=(broken, *proof.steps[1:])))
    finding = find_claim("O2").evidence[0].run(Context())
    assert finding.outcome is Outcome.SURPRISE
    assert f"FAILED {broken.name}" in finding.summary


# --- one number, one source -------------------------------------------------------------------------------


def test_the_verdict_on_prediction_quotes_every_estimate_of_the_study():
    claim = find_claim("P1")
    for host in committed_estimates().hosts:
        assert f"{host.host} ({host.runs} runs, {host.seeds} seeds)" in claim.corrected
        for name in (ENERGY, SIZE):
            assert str(host.signal(name).correlation) in claim.corrected
            assert str(host.signal(name).area) in claim.corrected


def test_the_verdict_on_prediction_follows_the_numbers():
    found = committed_estimates()
    ahead = [h for h in found.hosts if _rho(h, ENERGY) > _rho(h, SIZE)]
    assert f"on {len(ahead)} of the {len(found.hosts)} layers" in predicting_in_plain_words(found)
    assert predicting_in_plain_words(Estimates(tuple(ahead))).startswith("On every layer")
    behind = tuple(host for host in found.hosts if host not in ahead)
    assert predicting_in_plain_words(Estimates(behind)).startswith("On no layer")
    host = found.hosts[0]
    signals = tuple(replace(one, area=replace(one.area, value=0.123)) for one in host.signals)
    assert "area 0.12 [" in predicting_by_host(Estimates((replace(host, signals=signals),)))


def _rho(host, name: str) -> float:
    return abs(host.signal(name).correlation.value)


def test_the_reading_of_the_constant_is_named_with_the_counts_of_the_study():
    audited = committed_estimates().audited
    violated = audited.counts["step"]["triangle"]["violated"]
    text = find_claim("B3").corrected
    assert "K_grad = ‖∇HE(W)‖_F" in text
    assert "every sufficiently small ε" in text
    assert (
        f"violated in {violated:,} of {audited.points:,} audited steps of {audited.streams} streams" in text
    )
