"""E1 to E7: hyperspherical energy, its gradient, its references, and what it does not see."""

from __future__ import annotations

from sphere_theory.claims.catalog.base import PAPER, claim
from sphere_theory.claims.ledger import Claim, Verdict
from sphere_theory.claims.measurements import energy as measure
from sphere_theory.claims.measurements.base import measured


def energy_claims() -> tuple[Claim, ...]:
    """The claims about the energy.

    Returns
    -------
    tuple of Claim
        E1 to E7.
    """
    return (*_symmetries(), *_references(), *_limits())


def _symmetries() -> tuple[Claim, ...]:
    return (
        claim(
            "E1",
            "HE does not change under positive row scaling, row permutation and right rotation",
            r"HE(\Lambda \Pi W R) = HE(W)",
            f"{PAPER}, §3",
            Verdict.PROVED,
            plain="The energy sees only how the neurons' directions lie to each other: not their lengths, "
            "order or common rotation.",
            hypotheses="no zero row, no coincident neurons",
        ),
        claim(
            "E2",
            "The gradient of HE_s is (2s/‖w_i‖) Σ (û_j − c_ij û_i) D_ij^(−s−2), tangent to the sphere",
            r"\partial HE_s/\partial w_i = "
            r"\tfrac{2s}{\lVert w_i\rVert}\sum_{j\ne i}(\hat u_j - c_{ij}\hat u_i)D_{ij}^{-s-2}",
            f"{PAPER}, Appendix C.1",
            Verdict.PROVED,
            plain="The slope of the energy is what the formula says, and never points along a neuron.",
            hypotheses="no zero row, no coincident neurons; factor 2 for s = 0",
        ),
        claim(
            "E3",
            "Wᵀ∇HE is symmetric: a conservation law of right rotations",
            r"W^\top\nabla HE_s(W) = \nabla HE_s(W)^\top W",
            "follows from E1",
            Verdict.PROVED,
            plain="Because rotations do not change the energy, weights times gradient is a symmetric matrix.",
            hypotheses="as E2",
        ),
    )


def _references() -> tuple[Claim, ...]:
    return (
        claim(
            "E4",
            "HE is at least that of a regular simplex",
            r"HE_s(W) \ge n(n-1)\,(2n/(n-1))^{-s/2}",
            "Jensen; equality iff the neurons form a regular simplex",
            Verdict.PROVED,
            plain="No arrangement of neurons has less energy than a regular simplex.",
            hypotheses="n ≥ 2",
        ),
        claim(
            "E5",
            "Real layers are nearly uniform: HE is within 2% of that of independent directions",
            r"E[D^{-s}] = \frac{2^{d-2-s}\,\Gamma(d/2)\,\Gamma((d-1-s)/2)}{\sqrt\pi\,\Gamma(d-1-s/2)}",
            f"{PAPER}, §3 reads low HE as uniform; the unit is ours",
            Verdict.MEASURED,
            measured("HE/uniform of every FFN and attention matrix", measure.uniformity),
            plain="The neurons of trained layers are spread almost as evenly as directions drawn at random.",
            hypotheses="the 36 matrices of MiniLM, s = 1; the formula: s < d − 1",
        ),
    )


def _limits() -> tuple[Claim, ...]:
    return (
        claim(
            "E6",
            "HE and its gradient are unbounded where two neurons meet: there is no global K",
            r"D_{ij} \to 0 \Rightarrow HE_s \to \infty",
            f"{PAPER}, Appendix C.1 takes K as given",
            Verdict.PROVED,
            measured("two neurons of a real layer brought together", measure.meeting_neurons),
            plain="As two neurons meet, the energy and its slope grow without limit, so no single K fits all "
            "weights.",
            hypotheses="for the gradient: bounded row norms, the other neurons at a distance",
        ),
        claim(
            "E7",
            "A stable HE means stable outputs",
            r"\Delta HE = 0 \Rightarrow \Delta V \approx 0",
            f"{PAPER}, §3 and mechanism 1",
            Verdict.REFUTED,
            measured("edits that HE, row norms and spectrum do not see", measure.unseen_edits),
            plain="Outputs can change to their very opposite while a layer's energy, row norms and singular "
            "values stay as they are.",
            corrected="HE sees directions alone, and no upper bound of ‖ΔV‖ follows from HE, row norms and "
            "singular values together: W ↦ WR with R orthogonal keeps all three and moves outputs by up to "
            "twice their size. A stable HE is necessary for stable outputs at most where inputs see the edit "
            "(B8), and never sufficient.",
        ),
    )
