"""B1 to B10: what is left of Theorem 1, |ΔV| ≥ (ΔHE/K)², and what is proved in its place."""

from __future__ import annotations

from sphere_theory.claims.catalog.base import PAPER, claim
from sphere_theory.claims.ledger import Claim, Verdict
from sphere_theory.claims.measurements import along_streams, bound, certificates, probe
from sphere_theory.claims.measurements.base import measured
from sphere_theory.study.estimates import committed_estimates


def bound_claims() -> tuple[Claim, ...]:
    """The claims about the bound.

    Returns
    -------
    tuple of Claim
        B1 to B10.
    """
    return (*_readings(), *_constants(), *_along_paths(), _unconditional(), *_second_order())


def _readings() -> tuple[Claim, ...]:
    return (
        claim(
            "B1",
            "|ΔV| ≥ (ΔHE/K)² with |ΔV| = ‖ΔV‖_F",
            r"\lVert\Delta V\rVert_F \ge (\Delta HE/K)^2",
            f"{PAPER}, Theorem 1",
            Verdict.REFUTED,
            plain="Read as a norm the bound is false, since scaling a layer up breaks it; only the squared "
            "norm can be meant.",
            corrected="The right side scales as c² under W ↦ cW: |ΔV| can only be the squared norm ‖ΔV‖_F².",
        ),
        claim(
            "B2",
            "Orthonormal inputs suffice for the bound",
            r"X^\top X = I \Rightarrow \lVert\Delta W X\rVert_F^2 \ge (\Delta HE/K)^2",
            f"{PAPER}, Theorem 1, assumption 1",
            Verdict.REFUTED,
            measured("edits on 64 orthonormal inputs, outside their span and not", bound.hidden_edit),
            plain="Orthonormal inputs are not enough where there are fewer of them than dimensions: an edit "
            "can hide from them.",
            corrected="With m < d inputs, XᵀX = I_m, an edit outside their span has ΔV = 0 and ΔHE ≠ 0; at "
            "m = d the inputs see all. Sufficient, not needed: XXᵀ ⪰ σ²I on the row space of ΔW, which gives "
            "‖ΔV‖_F ≥ σ‖ΔW‖_F.",
        ),
    )


def _constants() -> tuple[Claim, ...]:
    return (
        claim(
            "B3",
            "For small edits the bound holds, with K read as the length of the gradient, ‖∇HE(W)‖_F",
            r"\lVert\Delta W\rVert_F \ll 1 \Rightarrow "
            r"\lVert\Delta W\rVert_F^2 \ge (\Delta HE/\lVert\nabla HE\rVert_F)^2",
            f"{PAPER}, Theorem 1, assumption 2",
            Verdict.REFUTED,
            measured("edits along +∇HE, relative size 1e-7 to 1e-2", bound.ascent_edit),
            measured("probe_bound: an adversary on ordinary weights", probe.probed_first_order),
            measured("K_grad and K_tri along a stream", along_streams.readings_along_a_stream),
            plain="With the gradient's length for K the bound fails for edits along the gradient, however "
            "small; with the paper's other constant it is broken only by edits that are not small, or of two "
            "neurons.",
            corrected="With K_grad = ‖∇HE(W)‖_F, the reading of the paper's Taylor step, it is asymptotic "
            "only: along +∇HE it fails for every sufficiently small ε > 0 wherever HE is convex that way "
            "(large ε may hold: W = I₂, ΔW = (0, 3; 3, 0)), and where ∇HE = 0 it is void. The paper's source "
            "implies K_tri (B4) as well: equal to K_grad for n = 2 and refuted with it; for n > 2 it is "
            f"larger{_triangle_counts()}.",
            see=("B4", "B8"),
        ),
        claim(
            "B4",
            "The triangle constant bounds the gradient: K_tri ≥ ‖∇HE‖_F",
            r"K_{tri}^2 = \sum_i\Bigl[\tfrac{2s}{\lVert w_i\rVert}"
            r"\sum_{j\ne i}D_{ij}^{-s-1}\sqrt{1-D_{ij}^2/4}\Bigr]^2",
            f"{PAPER}, Appendix C.1",
            Verdict.PROVED,
            plain="The triangle constant is never below the gradient's length; like it, it is taken before "
            "the edit and covers no finite one.",
            hypotheses="no coincident neurons",
            corrected="It bounds the gradient at W, not a finite change: for n = 2 it is ‖∇HE‖_F and fails "
            "with it (B3); for n > 2 it is larger, unless all pulls on each neuron align, and then every "
            "sufficiently small edit obeys it, a large one need not.",
            see=("B3",),
        ),
        claim(
            "B5",
            "An edit with all φ_ij > 0 satisfies ‖ΔV‖_F² ≥ σ²(ΔHE/K_cert)²",
            r"|\Delta HE| \le K_{cert}\lVert\Delta W\rVert_F,\quad K_{cert}^2 = "
            r"\sum_i\Bigl[\tfrac{2s}{m_i}\sum_{j\ne i}d_{ij}^{-s-1}\sqrt{1-d_{ij}^2/4}\Bigr]^2",
            "ours: an earlier form of B8",
            Verdict.CORRECTED,
            measured("audits of six kinds of edits on three kinds of inputs", bound.certified_bound),
            measured("probe_bound: every size, direction and kind of inputs", probe.probed_certificate),
            plain="As long as no two neurons can meet on the way, outputs that see the edit must move by at "
            "least σ²(ΔHE/K_cert)².",
            hypotheses="n ≥ 2 neurons w_i, any edit ΔW, any inputs X, s ≥ 0; φ_ij = θ_ij − δ_i − δ_j > 0 for "
            "every i ≠ j, with θ_ij the angle between w_i and w_j, δ_i that between w_i and w_i + Δw_i; σ²: "
            "least eigenvalue of XXᵀ on the row space of ΔW",
            corrected="An earlier, edit-local form of B8: K* ≤ K_cert wherever it applies. |ΔHE_s| ≤ "
            "K_cert‖ΔW‖_F with K_cert² = Σ_i [(2s/m_i) Σ_{j≠i} d_ij^(−s−1) √(1 − d_ij²/4)]², m_i the "
            "distance from the origin to the segment [w_i, w_i + Δw_i] (positive then), d_ij = 2 "
            "sin(φ_ij/2), 2 for 2s at s = 0. Where some φ_ij ≤ 0 it says nothing.",
            see=("B8", "B1", "B2"),
        ),
    )


def _triangle_counts() -> str:
    """What the committed study saw of K_tri along streams, in its own numbers."""
    audited = committed_estimates().audited
    counts = audited.counts["step"].get("triangle", {}) if audited else {}
    if not audited or not counts:
        return ""
    return (
        f", and violated in {counts.get('violated', 0):,} of {audited.points:,} audited steps of "
        f"{audited.streams} streams"
    )


def _along_paths() -> tuple[Claim, ...]:
    return (
        claim(
            "B6",
            "Along a path |ΔHE| ≤ Σ_t K*_t‖ΔW_t‖_F, and |ΔHE| ≤ K*‖Σ_t ΔW_t‖_F for the whole way",
            r"|\Delta HE| \le \sum_t K^*_t\lVert\Delta W_t\rVert_F,\quad "
            r"|\Delta HE| \le K^*\lVert\textstyle\sum_t \Delta W_t\rVert_F",
            "ours, from B8; answers the paper's open question 1",
            Verdict.PROVED,
            measured("step size × edit count", bound.regimes),
            measured("|ΔHE| against both forms along a stream", along_streams.path_bound),
            plain="However many edits follow each other, the energy moves no further than their steps "
            "together allow, nor than the whole way does.",
            hypotheses="no zero row and no coincident neurons after any step; the sum bounds the path's "
            "length, not the net change of outputs, the whole way the net change",
            see=("B8",),
        ),
        claim(
            "B7",
            "A bound of the form K‖ΔW‖ is far from tight for edits that are not built against it",
            r"(\Delta HE/K)^2 / \lVert\Delta V\rVert_F^2 \ll 1,\quad "
            r"E\,\langle\nabla HE, \Delta W\rangle^2 = \lVert\nabla HE\rVert^2\lVert\Delta W\rVert^2/(nd)",
            f"{PAPER}, Theorem 1, reports no tightness",
            Verdict.MEASURED,
            measured("share of each bound that edits use, by size and s", certificates.tightness),
            plain="For ordinary edits the bound holds by orders of magnitude, and no bound by the edit's "
            "size alone could do much better.",
            hypotheses="random and MEMIT-like edits up to 1% of the weights, synthetic and of MiniLM, s = 0 "
            "to 3.5; a random edit uses about 1/(nd) at best of any bound by its size alone, while the "
            "enclosure (B9), which knows the edit, comes near",
            see=("B8", "B9", "B10"),
        ),
    )


def _unconditional() -> Claim:
    return claim(
        "B8",
        "Every edit satisfies |ΔHE| ≤ K*‖ΔW‖_F, so ‖ΔV‖_F² ≥ σ²(ΔHE/K*)²: Theorem 1 without conditions",
        r"|\Delta HE_s| \le \sum_i 2s\,\delta_i\sum_{j\ne i}h(\theta^*_{ij}),\quad "
        r"|\Delta HE_s| \le K^*\lVert\Delta W\rVert_F,\quad K^{*2} = \sum_i\Bigl["
        r"\tfrac{2s}{\max(\lVert w_i\rVert, \lVert\hat w_i\rVert)}\sum_{j\ne i}h(\theta^*_{ij})\Bigr]^2,"
        r"\quad \lVert\Delta V\rVert_F^2 \ge \sigma^2(\Delta HE_s/K^*)^2",
        f"ours: {PAPER}, Theorem 1, corrected",
        Verdict.PROVED,
        measured("the audits of B5: six kinds of edits on three kinds of inputs", bound.unconditional_bound),
        measured("probe_bound: every size, direction and kind of inputs", probe.probed_unconditional),
        plain="Whatever the edit, outputs that see it must move by at least σ²(ΔHE/K*)².",
        hypotheses="n ≥ 2, any edit ΔW and inputs X, s ≥ 0; no zero row and no coincident neurons, before or "
        "after; θ*_ij: the angles at whichever of W, Ŵ = W + ΔW has the larger energy; δ_i: the angle "
        "between w_i and ŵ_i; h(θ) = D^(−s−1) cos(θ/2), D = 2 sin(θ/2), 2 for 2s at s = 0; σ²: least "
        "eigenvalue of XXᵀ on the row space of ΔW",
        corrected="Nothing else is asked for: no small edit, no orthonormal inputs, no neurons that keep "
        "apart, and no edit to which it does not apply. ‖ΔV‖_F² is the squared norm (B1), and where the "
        "inputs do not see the edit, σ = 0, it asks for nothing (B2). K* = 0 only where no neuron "
        "pulls, two opposite ones, and then ΔHE = 0.",
        see=("B1", "B2", "B7"),
    )


def _second_order() -> tuple[Claim, ...]:
    return (
        claim(
            "B9",
            "ΔHE lies between two certified numbers: |ΔHE − Σ δ_i⟨G_i, τ_i⟩| ≤ ½ Σ_{i≠j} q(φ_ij)(δ_i + δ_j)²",
            r"\Bigl|\Delta HE_s - \sum_i\delta_i\langle G_i,\tau_i\rangle\Bigr| \le "
            r"\tfrac12\sum_{i\ne j}q(\varphi_{ij})(\delta_i+\delta_j)^2,\quad "
            r"q(\varphi) = s\,d^{-s-2}\bigl(1+(s+2)\cos^2(\varphi/2)\bigr)",
            "ours, to second order",
            Verdict.PROVED,
            measured("edits of real layers, enclosed", certificates.enclosure),
            plain="How far an edit moves the energy, and which way, can be shut in between two certified "
            "numbers.",
            hypotheses="φ_ij = θ_ij − δ_i − δ_j > 0 for every i ≠ j; G_i = ‖w_i‖ ∂HE/∂w_i, τ_i: unit tangent "
            "at û_i towards ŵ_i, d = 2 sin(φ/2), 1 for the leading s at s = 0. Cut into pieces, the segment "
            "from W to W + ΔW is enclosed piece by piece",
            see=("B8",),
        ),
        claim(
            "B10",
            "Every edit with ‖ΔW‖_F ≤ ρ satisfies |ΔHE| ≤ κK_gradρ + 2κ²ρ²Q(ρ)",
            r"|\Delta HE_s| \le \kappa K_{grad}\rho + 2\kappa^2\rho^2 Q(\rho),\quad "
            r"\kappa = \arcsin(x)/x,\ x = \rho/\min_i\lVert w_i\rVert,\quad Q(\rho) = \max_i "
            r"\lVert w_i\rVert^{-2}\sum_{j\ne i}q\bigl(\theta_{ij} - \kappa\rho"
            r"\sqrt{\lVert w_i\rVert^{-2}+\lVert w_j\rVert^{-2}}\bigr)",
            f"ours; nearest to the wording of {PAPER}, Theorem 1",
            Verdict.PROVED,
            measured("edits of layer 3 against what their size allows", certificates.edit_free_bound),
            plain="The weights alone bound how far any edit of a given, not too large, size can move the "
            "energy.",
            hypotheses="x < 1 and every angle in Q(ρ) positive; q as in B9, K_grad = ‖∇HE_s(W)‖_F",
            see=("B3", "B9"),
        ),
    )
