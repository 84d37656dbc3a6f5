"""The proofs in Coq: accepted as they are displayed, resting on nothing else, and a wrong one is refused."""

from __future__ import annotations

import io
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from sphere_theory.proofs.kernel import (
    KERNEL_PROOFS,
    SYMBOLS,
    KernelOutcome,
    KernelTheorem,
    check,
    check_kernel,
)
from sphere_theory.proofs.kernel.__main__ import main
from sphere_theory.proofs.kernel.check import ALLOWED, TheoremOutcome, read_assumptions
from sphere_theory.proofs.kernel.statements import FILES, FOLDER

needs_coqc = pytest.mark.skipif(
    shutil.which("coqc") is None, reason="needs coqc (Debian: apt-get install coq); none is installed"
)
THEOREMS = [(claim, theorem) for claim, proof in KERNEL_PROOFS.items() for theorem in proof.theorems]


def source(name: str) -> str:
    return (FOLDER / f"{name}.v").read_text(encoding="utf-8")


def without_comments(text: str) -> str:
    return re.sub(r"\(\*.*?\*\)", " ", text, flags=re.DOTALL)


def squeezed(text: str) -> str:
    """Without spaces and line breaks."""
    return "".join(text.split())


def as_if_proved(claim: str) -> KernelOutcome:
    found = tuple(TheoremOutcome(t, "proved", "", tuple(ALLOWED)) for t in KERNEL_PROOFS[claim].theorems)
    return KernelOutcome(claim, "proved", "", found, "8.16.1", 1.0)


def needed_for(claim: str) -> tuple[str, ...]:
    """Files that hold the theorems of a claim, and those that they require."""
    needed = {theorem.file for theorem in KERNEL_PROOFS[claim].theorems}
    for name in reversed(FILES):
        if name in needed:
            needed |= set(
                " ".join(re.findall(r"^From SphereTheory Require Import (.*)\.$", source(name), re.M)).split()
            )
    return tuple(name for name in FILES if name in needed)


Mutate: TypeAlias = Callable[[str, str, str, str], KernelOutcome]


@pytest.fixture
def mutate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mutate:
    """Check one claim in a copy in which one text of one file is another; no other claim is compiled."""

    def mutated(claim: str, name: str, old: str, new: str) -> KernelOutcome:
        monkeypatch.setattr(check, "KERNEL_PROOFS", {claim: KERNEL_PROOFS[claim]})
        monkeypatch.setattr(check, "FILES", needed_for(claim))
        for file in needed_for(claim):
            (tmp_path / f"{file}.v").write_text(source(file), encoding="utf-8")
        assert old in source(name), f"{name}.v has no {old!r}"
        (tmp_path / f"{name}.v").write_text(source(name).replace(old, new), encoding="utf-8")
        return check_kernel(claim, folder=tmp_path)

    return mutated


@needs_coqc
@pytest.mark.parametrize("claim", KERNEL_PROOFS)
def test_the_kernel_proves_it(claim: str) -> None:
    outcome = check_kernel(claim)
    assert outcome.status == "proved", outcome.verdict
    assert [found.status for found in outcome.theorems] == ["proved"] * len(KERNEL_PROOFS[claim].theorems)
    assert outcome.reason == ""
    assert outcome.version[0].isdigit()
    assert 0 < outcome.seconds < 120


@needs_coqc
@pytest.mark.parametrize("claim", KERNEL_PROOFS)
def test_it_rests_on_the_reals_alone(claim: str) -> None:
    assumptions = check_kernel(claim).assumptions
    assert assumptions, "the reals themselves rest on something"
    assert set(assumptions) <= set(ALLOWED)


@needs_coqc
def test_what_is_allowed_is_what_ln_and_acos_rest_on(tmp_path: Path) -> None:
    """No statement in terms of ln or acos rests on less: classic is the standard library's."""
    text = "From Coq Require Import Reals.\nPrint Assumptions {}.\n"
    for name in ("ln", "acos"):
        (tmp_path / f"{name}_rests.v").write_text(text.format(name), encoding="utf-8")
        ran = subprocess.run(
            ["coqc", f"{name}_rests.v"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert set(read_assumptions(ran.stdout)) == set(ALLOWED)


@needs_coqc
def test_checking_leaves_nothing_in_the_tree() -> None:
    before = sorted(FOLDER.rglob("*"))
    check_kernel("B8")
    assert [path for path in sorted(FOLDER.rglob("*")) if path.suffix != ".pyc"] == [
        path for path in before if path.suffix != ".pyc"
    ]
    assert not [path for path in FOLDER.rglob("*") if path.suffix in {".vo", ".vok", ".vos", ".glob", ".aux"}]


# What a tired person might write: claim, file, its text, what stands there instead, and where that shows.
MUTANTS = {
    "sum instead of max": (
        "B8",
        "definitions",
        "Rmax (norm d (W i)) (norm d (plus W Delta i))",
        "(norm d (W i) + norm d (plus W Delta i))",
        "unconditional.v: File",
    ),
    "half the factor": ("B8", "definitions", "else 2 * s.", "else s.", "pair.v: File"),
    "half the factor at s = 0": ("B8", "definitions", "then 2 else", "then 1 else", "pair.v: File"),
    "another exponent in h": ("B8", "definitions", "(- s - 1) * cos", "(- s) * cos", "pair.v: File"),
    "no cosine in h": ("B8", "definitions", "(- s - 1) * cos (x / 2)", "(- s - 1)", "pair.v: File"),
    "the end with the smaller energy": (
        "B8",
        "definitions",
        "then plus W Delta else W.",
        "then W else plus W Delta.",
        "unconditional.v: File",
    ),
    "the turn of one neuron of a pair": (
        "B8",
        "pair",
        "h s y * ((1 - exp (- a)) + (1 - exp (- b))).\nProof",
        "h s y * (1 - exp (- a)).\nProof",
        "pair.v: File",
    ),
    "a hypothesis that nothing meets": (
        "B8",
        "definitions",
        "0 < D W i j).",
        "0 < D W i j) /\\ False.",
        "unconditional.v: not as it is displayed",
    ),
    "one more hypothesis": (
        "B8",
        "unconditional",
        "Theorem B8_outputs (W Delta : matrix) (m : nat) (X : matrix) (sigma : R) :",
        "Theorem B8_outputs (W Delta : matrix) (m : nat) (X : matrix) (sigma : R) (more : s <= 1) :",
        "unconditional.v: not as it is displayed",
    ),
    "an angle that opens by the larger turn": (
        "B9",
        "definitions",
        "theta W i j - delta W Delta i - delta W Delta j.",
        "theta W i j - Rmax (delta W Delta i) (delta W Delta j).",
        "enclosure.v: File",
    ),
    "half the second order": (
        "B10",
        "edit_free",
        "rho + 2 * kappa (rho / m) ^ 2 *",
        "rho + kappa (rho / m) ^ 2 *",
        "edit_free.v: File",
    ),
}


@needs_coqc
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_version_is_refused(mutant: str, mutate: Mutate) -> None:
    *change, shows = MUTANTS[mutant]
    outcome = mutate(*change)
    assert outcome.status == "failed"
    assert "FAILED" in outcome.verdict
    assert shows in outcome.reason, outcome.reason


@needs_coqc
def test_an_admitted_lemma_is_named(mutate: Mutate) -> None:
    proof = "Proof. intros [H1 H2]. apply sin_gt_0; pose proof PI_RGT_0; lra. Qed."
    outcome = mutate("B8", "pair", proof, "Proof. Admitted.")
    assert outcome.status == "failed"
    assert "rests on pair.sin_half_pos, which is not allowed" in outcome.reason
    assert "pair.sin_half_pos" in outcome.assumptions


@needs_coqc
def test_a_broken_lemma_is_named_and_not_what_it_breaks(
    mutate: Mutate,
) -> None:
    outcome = mutate(
        "B8",
        "sums",
        "Lemma sum_zero n : sum n (fun _ => 0) = 0.",
        "Lemma sum_zero n : sum n (fun _ => 0) = 1.",
    )
    assert outcome.status == "failed"
    assert all(found.reason.startswith("sums.v: ") for found in outcome.theorems)


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_taken_on_trust(name: str) -> None:
    words = r"\b(Admitted|admit|Axioms?|Parameters?|Conjecture|Unset Guard Checking|bypass_check)\b"
    assert not re.findall(words, without_comments(source(name)))


def test_every_file_is_compiled() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.v")) == sorted(FILES)


def test_every_definition_is_displayed_and_no_other() -> None:
    defined = re.findall(
        r"^(?:Definition|Fixpoint) (\w+)", without_comments(source("definitions")), re.MULTILINE
    )
    assert sorted(defined) == sorted(symbol.name for symbol in SYMBOLS)


@pytest.mark.parametrize(("claim", "theorem"), THEOREMS, ids=lambda value: getattr(value, "name", value))
def test_the_statement_in_the_file_is_the_one_displayed(claim: str, theorem: KernelTheorem) -> None:
    """Read without a kernel: the section's notations written out, its variables and hypothesis in front."""
    text = without_comments(source(theorem.file))
    before = text[: text.index(f"Theorem {theorem.name} ")]
    around = re.sub(r"Section (\w+)\..*?End \1\.", "", before, flags=re.DOTALL)  # sections that are open
    found = re.search(rf"Theorem {theorem.name} ((?:\([^)]*\)\s*)+):\s(.*?)\.\s+Proof", text, re.DOTALL)
    assert found, f"{theorem.file}.v: no theorem {theorem.name} with its proof"
    statement = f"forall {found[1]}, {found[2]}"
    for name, written in re.findall(r"Local Notation (\w+) := \((.*)\)\.", around):
        assert re.fullmatch(rf"{name}( [nds])+", written)
        statement = re.sub(rf"\b{name}\b", written, statement)
    assumed = re.findall(r"^(?:Variables?|Hypothes[ie]s|Context) .*", around, re.MULTILINE)
    assert assumed[:1] == ["Variables (n d : nat) (s : R)."]
    assert assumed[1:] == ([] if claim == "E2" else ["Hypothesis s_nonneg : 0 <= s."])
    nonnegative = "0 <= s ->" if assumed[1:] else ""
    assert squeezed(f"forall (n d : nat) (s : R), {nonnegative} {statement}") == squeezed(theorem.text)
    assert claim in theorem.name


def test_page_says_all_of_it() -> None:
    outcomes = {claim: as_if_proved(claim) for claim in KERNEL_PROOFS}
    text = io.StringIO()
    assert main([], check=outcomes.__getitem__, write=text.write) == 0
    page = squeezed(text.getvalue())
    for symbol in SYMBOLS:
        for part in (symbol.name, symbol.ledger, symbol.words, symbol.text):
            assert squeezed(part) in page
    for _, theorem in THEOREMS:
        for part in (theorem.name, theorem.mathematics, theorem.text):
            assert squeezed(part) in page
    for name, why in ALLOWED.items():
        assert squeezed(f"{name} ({why})") in page
    assert (
        text.getvalue().splitlines()[-1].startswith(f"{list(KERNEL_PROOFS)[-1]}: proved by the kernel of Coq")
    )


def test_page_of_a_failure_exits_1() -> None:
    text = io.StringIO()
    failed = KernelOutcome("B8", "failed", "because", as_if_proved("B8").theorems, "8.16.1", 1.0)
    assert main(["B8"], check=lambda _: failed, write=text.write) == 1
    assert text.getvalue().splitlines()[-1] == "B8: kernel proof FAILED (Coq 8.16.1): because"


def test_unknown_name_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["B8", "nonsense"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no proof in Coq named nonsense" in captured.err


def test_help_lists_the_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert f"Proofs: {' '.join(KERNEL_PROOFS)}" in capsys.readouterr().out


def test_without_coqc_it_is_not_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for claim in KERNEL_PROOFS:
        outcome = check_kernel(claim)
        assert outcome.status == "not checked"
        assert outcome.verdict == "kernel proof not checked here: coqc is not installed"
        assert {found.status for found in outcome.theorems} == {"not checked"}
        assert outcome.assumptions == ()
    text = io.StringIO()
    assert main(["B8"], write=text.write) == 0
    assert text.getvalue().splitlines()[-1] == "B8: kernel proof not checked here: coqc is not installed"
    assert "[proved]" not in text.getvalue()


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        ("echo no library >&2; exit 1", "not checked", "coqc does not load its library of real numbers"),
        ("case $5 in probe.v) exit 0;; esac; exit 1", "failed", "definitions.v: coqc says no more"),
        ("exit 0", "failed", "rests on nothing that is understood, which is not allowed"),
        ("echo Axioms:; echo 'A.wrong : False'; exit 0", "failed", "rests on A.wrong, which is not allowed"),
        (
            "case $5 in probe.v) exit 0;; esac; exec sleep 9",
            "failed",
            "had not finished when its time was over",
        ),
    ],
    ids=["no library", "always fails", "says nothing", "rests on an axiom", "never ends"],
)
def test_other_coqcs(
    script: str, status: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    coqc = tmp_path / "coqc"
    coqc.write_text(f"#!/bin/sh\ncase $1 in --version) echo version 1.2; exit 0;; esac\n{script}\n")
    coqc.chmod(coqc.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    outcome = check_kernel("B8", timeout=1.0 if "sleep" in script else 60.0)
    assert (outcome.status, outcome.version) == (status, "1.2")
    assert reason in outcome.reason


def test_what_print_assumptions_says_is_read() -> None:
    printed = "Axioms:\nA.one : P\nB.two\n  : forall x : nat,\n    x = x\n"
    assert read_assumptions(printed) == ("A.one", "B.two")
    assert read_assumptions("Closed under the global context\n") == ()
    assert "nothing that is understood" in read_assumptions("")
    assert "nothing that is understood" in read_assumptions("Fetching opaque proofs\n" + printed)


def test_importing_leaves_heavy_modules_out() -> None:
    code = "import sys, proofs.kernel; sys.exit(bool({'sympy', 'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_claim_raises() -> None:
    with pytest.raises(KeyError, match="O1"):
        check_kernel("O1")
