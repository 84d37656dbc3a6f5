"""How an entry of the ledger is made: its proofs, kernel proof and property are found by its name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Claim, Evidence, Finding, Verdict
from sphere_theory.claims.properties import PROPERTIES
from sphere_theory.proofs import PROOFS, prove

if TYPE_CHECKING:
    from sphere_theory.proofs.kernel import KernelOutcome
    from sphere_theory.proofs.proof import Counterexample

PAPER = "SPHERE, arXiv 2510.01172"


def claim(
    id: str,
    statement: str,
    latex: str,
    source: str,
    verdict: Verdict,
    *measurements: Evidence,
    plain: str,
    hypotheses: str = "",
    corrected: str = "",
    see: tuple[str, ...] = (),
) -> Claim:
    """An entry, with everything that is known to bear on its name.

    Parameters
    ----------
    id, statement, latex, source, verdict
        As of `Claim`.
    *measurements
        Evidence beside proof, kernel proof and property, which are found by the name.
    plain, hypotheses, corrected, see
        As of `Claim`.

    Returns
    -------
    Claim
        Ready to run.
    """
    found = [*_symbolic_evidence(id), *_kernel_evidence(id), *_property_evidence(id)]
    evidence = (*found, *measurements)
    return Claim(id, statement, latex, source, hypotheses, verdict, evidence, corrected, see, plain)


def _symbolic_evidence(id: str) -> Sequence[Evidence]:
    return [Evidence("symbolic", "proof", partial(_symbolic, id))] if id in PROOFS else []


def _property_evidence(id: str) -> Sequence[Evidence]:
    return [PROPERTIES[id].evidence()] if id in PROPERTIES else []


def _kernel_evidence(id: str) -> Sequence[Evidence]:
    from sphere_theory.proofs.kernel import KERNEL_PROOFS

    return [Evidence("kernel", "proof in Coq", partial(_kernel, id))] if id in KERNEL_PROOFS else []


def _symbolic(id: str, context: Context) -> Finding:
    return context.once(("proof", id), lambda: _proved(id, context))


def _proved(id: str, context: Context) -> Finding:
    proof = prove(id)
    failed = []
    for outcome in proof.run():
        context.report(f"{id}: {outcome.step.name}")
        if not outcome.holds:
            failed.append(f"{outcome.step.name}: {outcome.reason}")
    steps = len(proof.steps)
    summary = f"{steps} steps established" if not failed else f"FAILED {'; '.join(failed)}"
    examples = [_example(example) for example in proof.counterexamples]
    return Finding(
        not failed, summary, "exact", {"steps": steps, "failed": failed, "counterexamples": examples}
    )


def _example(example: Counterexample) -> dict[str, Any]:
    """A counterexample as plain values: matrices in floats, to be drawn, and what it shows, exactly."""
    matrices = {"W": example.W, "delta": example.delta, "X": example.X, "projected": example.projected}
    drawn = {
        name: None if matrix is None else [[float(entry) for entry in row] for row in matrix.tolist()]
        for name, matrix in matrices.items()
    }
    return {"refutes": example.refutes, **drawn, "values": {name: str(v) for name, v in example.values}}


def _kernel(id: str, context: Context) -> Finding:
    from sphere_theory.proofs.kernel import check_kernel

    context.report(f"{id}: Coq's kernel")
    return kernel_finding(check_kernel(id))


def kernel_finding(outcome: KernelOutcome) -> Finding:
    """What the kernel said, as a finding: where there is no kernel, nothing was checked.

    Parameters
    ----------
    outcome
        Of `sphere_theory.proofs.kernel.check_kernel`.

    Returns
    -------
    Finding
        As expected if it is proved, a surprise if it failed, unchecked otherwise.
    """
    theorems = [
        {"name": one.theorem.name, "mathematics": one.theorem.mathematics, "status": one.status}
        for one in outcome.theorems
    ]
    data = {
        "status": outcome.status,
        "reason": outcome.reason,
        "version": outcome.version,
        "theorems": theorems,
        "assumptions": list(outcome.assumptions),
    }
    margin = "exact" if outcome.status == "proved" else outcome.status
    checked = outcome.status != "not checked"
    return Finding(outcome.status != "failed", outcome.verdict, margin, data, checked=checked)


def proofs_of(*claims: str) -> Evidence:
    """The proofs that a claim without one of its own rests on.

    Parameters
    ----------
    *claims
        Whose.

    Returns
    -------
    Evidence
        One piece for all of them.
    """
    return Evidence("symbolic", f"proofs of {', '.join(claims)}", partial(_all_symbolic, claims))


def _all_symbolic(claims: tuple[str, ...], context: Context) -> Finding:
    findings = [_symbolic(name, context) for name in claims]
    failed = [name for name, finding in zip(claims, findings, strict=True) if not finding.expected]
    steps = sum(finding.data["steps"] for finding in findings)
    summary = f"{steps} steps of {', '.join(claims)} established"
    return Finding(
        not failed, f"FAILED {', '.join(failed)}" if failed else summary, "exact", {"failed": failed}
    )
