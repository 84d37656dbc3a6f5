"""O1 to O8: what SPHERE's operator P = I − αUUᵀ does to an edit."""

from __future__ import annotations

from sphere_theory.claims.catalog.base import PAPER, claim
from sphere_theory.claims.ledger import Claim, Verdict
from sphere_theory.claims.measurements import along_streams, controls
from sphere_theory.claims.measurements import operator as measure
from sphere_theory.claims.measurements.base import measured


def operator_claims() -> tuple[Claim, ...]:
    """The claims about the operator.

    Returns
    -------
    tuple of Claim
        O1 to O8.
    """
    return (*_algebra(), _rank_rules(), *_effects())


def _algebra() -> tuple[Claim, ...]:
    return (
        claim(
            "O1",
            "P = I − αUUᵀ is symmetric with eigenvalues 1 − α (r times) and 1 (d − r times)",
            r"P = I - \alpha UU^\top,\quad \operatorname{spec} P = \{(1-\alpha)^{(r)}, 1^{(d-r)}\}",
            f"{PAPER}, §4",
            Verdict.PROVED,
            plain="P scales r directions by 1 − α and leaves all others as they are.",
            hypotheses="UᵀU = I",
        ),
        claim(
            "O2",
            "P is an orthogonal projection",
            r"P^2 = P",
            f"{PAPER}, §4",
            Verdict.CORRECTED,
            plain="P is a projection for α = 0 and 1 alone, so not at the paper's 0.5 and 0.8: there it "
            "shrinks directions without removing them.",
            hypotheses="UᵀU = I, r ≥ 1",
            corrected="P² = I − α(2 − α)UUᵀ: idempotent iff α is 0 or 1, so not at the paper's 0.5 and 0.8.",
        ),
        claim(
            "O3",
            "P never enlarges an edit: ‖ΔW P‖_F ≤ ‖ΔW‖_F for every ΔW iff 0 ≤ α ≤ 2",
            r"\lVert\Delta W P\rVert_F \le \lVert\Delta W\rVert_F \iff 0 \le \alpha \le 2",
            f"{PAPER}, §4",
            Verdict.PROVED,
            plain="P makes no edit larger as long as α lies between 0 and 2.",
            hypotheses="UᵀU = I, r ≥ 1",
        ),
        claim(
            "O4",
            "An edit with rows in span(U) is scaled by 1 − α",
            r"\Delta W = \Delta W UU^\top \Rightarrow \Delta W P = (1-\alpha)\Delta W",
            f"{PAPER}, §4",
            Verdict.PROVED,
            plain="Of an edit inside the principal space P leaves the share 1 − α, in the same direction.",
            hypotheses="UᵀU = I",
        ),
    )


def _rank_rules() -> Claim:
    return claim(
        "O5",
        "On one spectrum the paper's rank rule and the released one differ exactly at ties, by one",
        r"\min\{r: S_r \ge \eta\} \ne \#\{r: S_r \le \eta\} + 1 \iff \exists r: S_r = \eta",
        f"{PAPER}, §4, and its released code",
        Verdict.PROVED,
        measured("rank by rule, of raw and of normalised rows", measure.rank_rules),
        plain="The two rules for the rank agree unless a share of the spectrum equals η; but the released "
        "code normalises the rows first, and that changes the rank on real layers.",
        hypotheses="both rules applied to one spectrum, positive eigenvalues, η < 1 (at η = 1 the released "
        "count overflows)",
        corrected="The released code takes the spectrum of the row-normalised weights, another one: on "
        "MiniLM's FFN outputs its rank is 5 to 21 larger (η = 0.5), whatever the rule.",
    )


def _effects() -> tuple[Claim, ...]:
    return (
        claim(
            "O6",
            "P makes the change of energy smaller",
            r"|\Delta HE(\Delta W P)| \le |\Delta HE(\Delta W)|",
            f"{PAPER}, §4, the purpose of P",
            Verdict.REFUTED,
            measured("effect of P on |ΔHE|, by kind, λ and size of the edit", measure.projection_effect),
            plain="Projecting an edit can raise its effect on the energy as well as lower it; which, depends "
            "on the edit and on its size.",
            corrected="P makes the edit smaller (O3), not its effect on HE. On real layers |ΔHE| grows for "
            "most fine-tuning edits and for a quarter or more of MEMIT edits of 2% to 50% of the weights (λ "
            "= 150,000), by the 95% intervals of the rates; for most MEMIT edits as large as the weights (λ "
            "= 1,500) it shrinks, a little.",
        ),
        claim(
            "O7",
            "On single real edits, principal directions gain no more than 2% over plain shrinkage",
            r"\frac{\lVert\Delta W P K_0\rVert_F}{\lVert\Delta W K_0\rVert_F} \ge "
            r"\frac{\langle\Delta W P K, R\rangle}{\langle\Delta W K, R\rangle},\quad "
            r"|\Delta HE(\Delta W P)| \ge |\Delta HE(c\,\Delta W)|,"
            r"\ c = \lVert\Delta W P\rVert_F/\lVert\Delta W\rVert_F",
            f"{PAPER}, §4 gives the directions the credit; the controls are ours",
            Verdict.MEASURED,
            measured("P against shrinkage, a random subspace and bottom-r", controls.directions_or_shrinkage),
            plain="On single edits of real layers the principal directions do no better than making the "
            "whole edit smaller.",
            hypotheses="medians over layers and draws of one batch of 100 edits, no stream: MEMIT at λ = "
            "1,500, of 0.8 to 25 times the size of W, and fine-tuning, of 0.05 to 0.2 times; shrinkage keeps "
            "as much interference as edit, so its price is 1",
        ),
        claim(
            "O8",
            "The gradient of HE lies in span(U) more than in a random subspace",
            r"\lVert\nabla HE\,U\rVert_F^2 / \lVert\nabla HE\rVert_F^2 > r/\min(n,d)",
            "not in the paper: why variance directions for an energy of angles",
            Verdict.MEASURED,
            measured("share of ‖∇HE‖² in span(U)", measure.gradient_share),
            measured("what is left of span(U) along streams of edits", along_streams.principal_space_turns),
            plain="The energy's gradient lies in the principal space more than in a random one, but most of "
            "it lies outside.",
            hypotheses="the six FFN outputs of MiniLM, η = 0.5, before any edit; along streams of edits that "
            "space is lost by more than half",
        ),
    )
