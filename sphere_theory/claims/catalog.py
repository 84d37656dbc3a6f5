"""The ledger itself: every claim, its verdict, and what is run to check it."""

from __future__ import annotations

from functools import partial

from proofs import PROOFS, prove
from sphere_theory.claims import measurements as measure
from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Claim, Evidence, Finding, Verdict
from sphere_theory.claims.measurements import measured
from sphere_theory.claims.properties import PROPERTIES
from sphere_theory.errors import RangeError

PAPER = "SPHERE, arXiv 2510.01172"


def _symbolic(claim: str, context: Context) -> Finding:
    proof = prove(claim)
    failed = []
    for outcome in proof.run():
        context.report(f"{claim}: {outcome.step.name}")
        if not outcome.holds:
            failed.append(f"{outcome.step.name}: {outcome.reason}")
    steps = len(proof.steps)
    summary = f"{steps} steps established" if not failed else f"FAILED {'; '.join(failed)}"
    return Finding(not failed, summary, "exact", {"steps": steps, "failed": failed})


def _claim(
    id: str,
    statement: str,
    latex: str,
    source: str,
    verdict: Verdict,
    *measurements: Evidence,
    hypotheses: str = "",
    corrected: str = "",
) -> Claim:
    evidence: list[Evidence] = []
    if id in PROOFS:
        evidence.append(Evidence("symbolic", "proof", partial(_symbolic, id)))
    if id in PROPERTIES:
        evidence.append(PROPERTIES[id].evidence())
    return Claim(id, statement, latex, source, hypotheses, verdict, (*evidence, *measurements), corrected)


def ledger() -> tuple[Claim, ...]:
    """All claims, in the order of the theory: operator, energy, bound, editing.

    Returns
    -------
    tuple of Claim
        Each with its evidence, ready to run.
    """
    return (*_operator(), *_energy(), *_bound(), *_editing())


def find_claim(id: str) -> Claim:
    """One claim of the ledger.

    Parameters
    ----------
    id
        Its name, such as "B5"; case does not count.

    Returns
    -------
    Claim
        That claim.

    Raises
    ------
    RangeError
        No claim of that name.
    """
    claims = {claim.id: claim for claim in ledger()}
    if id.upper() not in claims:
        raise RangeError("id", f"one of {', '.join(claims)}", repr(id))
    return claims[id.upper()]


def _operator() -> tuple[Claim, ...]:
    return (
        _claim(
            "O1",
            "P = I − αUUᵀ is symmetric with eigenvalues 1 − α (r times) and 1 (d − r times)",
            r"P = I - \alpha UU^\top,\quad \operatorname{spec} P = \{(1-\alpha)^{(r)}, 1^{(d-r)}\}",
            f"{PAPER}, §4",
            Verdict.PROVED,
            hypotheses="UᵀU = I",
        ),
        _claim(
            "O2",
            "P is an orthogonal projection",
            r"P^2 = P",
            f"{PAPER}, §4",
            Verdict.CORRECTED,
            hypotheses="UᵀU = I, r ≥ 1",
            corrected="P² = I − α(2 − α)UUᵀ: idempotent iff α is 0 or 1, so not at the paper's 0.5 and 0.8.",
        ),
        _claim(
            "O3",
            "P never enlarges an edit: ‖ΔW P‖_F ≤ ‖ΔW‖_F for every ΔW iff 0 ≤ α ≤ 2",
            r"\lVert\Delta W P\rVert_F \le \lVert\Delta W\rVert_F \iff 0 \le \alpha \le 2",
            f"{PAPER}, §4",
            Verdict.PROVED,
            hypotheses="UᵀU = I, r ≥ 1",
        ),
        _claim(
            "O4",
            "An edit with rows in span(U) is scaled by 1 − α",
            r"\Delta W = \Delta W UU^\top \Rightarrow \Delta W P = (1-\alpha)\Delta W",
            f"{PAPER}, §4",
            Verdict.PROVED,
            hypotheses="UᵀU = I",
        ),
        _claim(
            "O5",
            "The paper's rank rule and the released one differ exactly at ties, by one",
            r"\min\{r: S_r \ge \eta\} \ne \#\{r: S_r \le \eta\} + 1 \iff \exists r: S_r = \eta",
            f"{PAPER}, §4, and its released code",
            Verdict.PROVED,
            hypotheses="positive eigenvalues",
        ),
        _claim(
            "O6",
            "P makes the change of energy smaller",
            r"|\Delta HE(\Delta W P)| \le |\Delta HE(\Delta W)|",
            f"{PAPER}, §4, the purpose of P",
            Verdict.REFUTED,
            measured("effect of P and of its controls on |ΔHE|", measure.projection_effect),
            corrected="P makes the edit smaller (O3), not its effect on HE: |ΔHE| of random edits can grow.",
        ),
        _claim(
            "O8",
            "The gradient of HE lies in span(U) more than in a random subspace",
            r"\lVert\nabla HE\,U\rVert_F^2 / \lVert\nabla HE\rVert_F^2 > r/\min(n,d)",
            "not in the paper: why variance directions for an energy of angles",
            Verdict.MEASURED,
            measured("share of ‖∇HE‖² in span(U)", measure.gradient_share),
        ),
    )


def _energy() -> tuple[Claim, ...]:
    return (
        _claim(
            "E1",
            "HE does not change under positive row scaling, row permutation and right rotation",
            r"HE(\Lambda \Pi W R) = HE(W)",
            f"{PAPER}, §3",
            Verdict.PROVED,
            hypotheses="no zero row, no coincident neurons",
        ),
        _claim(
            "E2",
            "The gradient of HE_s is (2s/‖w_i‖) Σ (û_j − c_ij û_i) D_ij^(−s−2), tangent to the sphere",
            r"\partial HE_s/\partial w_i = "
            r"\tfrac{2s}{\lVert w_i\rVert}\sum_{j\ne i}(\hat u_j - c_{ij}\hat u_i)D_{ij}^{-s-2}",
            f"{PAPER}, Appendix C.1",
            Verdict.PROVED,
            hypotheses="no zero row, no coincident neurons; factor 2 for s = 0",
        ),
        _claim(
            "E3",
            "Wᵀ∇HE is symmetric: a conservation law of right rotations",
            r"W^\top\nabla HE_s(W) = \nabla HE_s(W)^\top W",
            "follows from E1",
            Verdict.PROVED,
            hypotheses="as E2",
        ),
        _claim(
            "E4",
            "HE is at least that of a regular simplex",
            r"HE_s(W) \ge n(n-1)\,(2n/(n-1))^{-s/2}",
            "Jensen; equality iff the neurons form a regular simplex",
            Verdict.PROVED,
            hypotheses="n ≥ 2",
        ),
        _claim(
            "E5",
            "Real layers are nearly uniform: HE is within 2% of that of independent directions",
            r"E[D^{-s}] = \frac{2^{d-2-s}\,\Gamma(d/2)\,\Gamma((d-1-s)/2)}{\sqrt\pi\,\Gamma(d-1-s/2)}",
            f"{PAPER}, §3 reads low HE as uniform; the unit is ours",
            Verdict.MEASURED,
            measured("HE/uniform of every FFN and attention matrix", measure.uniformity),
            hypotheses="s < d − 1",
        ),
        _claim(
            "E6",
            "HE and its gradient are unbounded where two neurons meet: there is no global K",
            r"D_{ij} \to 0 \Rightarrow HE_s \to \infty",
            f"{PAPER}, Appendix C.1 takes K as given",
            Verdict.PROVED,
            hypotheses="for the gradient: bounded row norms, the other neurons at a distance",
        ),
        _claim(
            "E7",
            "A stable HE means stable outputs",
            r"\Delta HE = 0 \Rightarrow \Delta V \approx 0",
            f"{PAPER}, §3 and mechanism 1",
            Verdict.REFUTED,
            measured("neurons lengthened by 10%", measure.radial_edit),
            corrected="HE sees directions alone: a stable HE is necessary at most. Read it beside row norms.",
        ),
    )


def _bound() -> tuple[Claim, ...]:
    return (
        _claim(
            "B1",
            "|ΔV| ≥ (ΔHE/K)² with |ΔV| = ‖ΔV‖_F",
            r"\lVert\Delta V\rVert_F \ge (\Delta HE/K)^2",
            f"{PAPER}, Theorem 1",
            Verdict.REFUTED,
            corrected="The right side scales as c² under W ↦ cW: |ΔV| can only be the squared norm ‖ΔV‖_F².",
        ),
        _claim(
            "B2",
            "Orthonormal inputs suffice for the bound",
            r"X^\top X = I \Rightarrow \lVert\Delta W X\rVert_F^2 \ge (\Delta HE/K)^2",
            f"{PAPER}, Theorem 1, assumption 1",
            Verdict.REFUTED,
            measured("edits outside the span of 64 orthonormal inputs", measure.hidden_edit),
            corrected="XXᵀ ⪰ σ²I on the row space of ΔW is needed, and gives ‖ΔV‖_F ≥ σ‖ΔW‖_F.",
        ),
        _claim(
            "B3",
            "For small edits the bound holds with the first-order constant K = ‖∇HE(W)‖_F",
            r"\lVert\Delta W\rVert_F \ll 1 \Rightarrow "
            r"\lVert\Delta W\rVert_F^2 \ge (\Delta HE/\lVert\nabla HE\rVert_F)^2",
            f"{PAPER}, Theorem 1, assumption 2",
            Verdict.REFUTED,
            measured("edits along +∇HE, relative size 1e-7 to 1e-2", measure.ascent_edit),
            corrected="Asymptotic only: along +∇HE it fails for every ε > 0 wherever HE is convex that way.",
        ),
        _claim(
            "B4",
            "The triangle constant bounds the gradient: K_tri ≥ ‖∇HE‖_F",
            r"K_{tri}^2 = \sum_i\Bigl[\tfrac{2s}{\lVert w_i\rVert}"
            r"\sum_{j\ne i}D_{ij}^{-s-1}\sqrt{1-D_{ij}^2/4}\Bigr]^2",
            f"{PAPER}, Appendix C.1",
            Verdict.PROVED,
            hypotheses="no coincident neurons",
        ),
        _claim(
            "B5",
            "A finite edit with all m_i > 0 and φ_ij > 0 satisfies ‖ΔV‖_F² ≥ σ²(ΔHE/K_cert)²",
            r"|\Delta HE| \le K_{cert}\lVert\Delta W\rVert_F,\quad K_{cert}^2 = "
            r"\sum_i\Bigl[\tfrac{2s}{m_i}\sum_{j\ne i}d_{ij}^{-s-1}\sqrt{1-d_{ij}^2/4}\Bigr]^2",
            "ours: Theorem 1, corrected",
            Verdict.CORRECTED,
            measured("audits of six kinds of edits on three kinds of inputs", measure.certified_bound),
            hypotheses="m_i > 0, φ_ij = θ_ij − δ_i − δ_j > 0, XXᵀ ⪰ σ²I on the row space of ΔW",
            corrected="No Taylor term and no orthonormality; where some φ_ij ≤ 0 it says nothing.",
        ),
        _claim(
            "B6",
            "Along a path |ΔHE| ≤ Σ K_t‖ΔW_t‖_F with K_t certified per step",
            r"|\Delta HE| \le \sum_t K_t\lVert\Delta W_t\rVert_F",
            "ours; answers the paper's open question 1",
            Verdict.PROVED,
            measured("step size × edit count", measure.regimes),
            hypotheses="every step certified; it bounds the path's length, not the net change of outputs",
        ),
        _claim(
            "B7",
            "The bound is far from tight for small edits that are not built against it",
            r"(\Delta HE/K)^2 / \lVert\Delta V\rVert_F^2 \ll 1",
            f"{PAPER}, Theorem 1, reports no tightness",
            Verdict.MEASURED,
            measured("tightness against relative edit size", measure.tightness),
        ),
    )


def _editing() -> tuple[Claim, ...]:
    return (
        _claim(
            "M1",
            "MEMIT with all past keys in the inverse: sequential equals one-time editing",
            r"\Delta W = RK^\top(\lambda C_0 + K_pK_p^\top + KK^\top)^{-1}",
            "AlphaEdit, arXiv 2410.02355",
            Verdict.PROVED,
            hypotheses="λC0 positive definite",
        ),
        _claim(
            "M2",
            "A projection after each solve keeps that equality",
            r"\Delta W_t P \text{ after each solve}",
            f"{PAPER}, §4 projects after each batch",
            Verdict.REFUTED,
            corrected="Projected sequential editing is another method than projected one-time editing.",
        ),
        _claim(
            "M3",
            "A left rotation keeps the energy of the neurons",
            r"HE(RW) = HE(W)",
            "MOSE, arXiv 2601.07873",
            Verdict.REFUTED,
            corrected="RW keeps the energy of the columns; WR keeps that of the rows, which are the neurons.",
        ),
    )
