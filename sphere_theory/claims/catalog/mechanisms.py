"""P1 to P3: the paper's three mechanisms."""

from __future__ import annotations

from sphere_theory.claims.catalog.base import PAPER, claim, proofs_of
from sphere_theory.claims.ledger import Claim, Verdict
from sphere_theory.claims.measurements import first_look
from sphere_theory.claims.measurements import mechanisms as measure
from sphere_theory.claims.measurements.base import measured
from sphere_theory.study.estimates import ENERGY, SIZE, Estimates, HostEstimates, committed_estimates


def mechanism_claims() -> tuple[Claim, ...]:
    """The claims about the paper's mechanisms.

    Returns
    -------
    tuple of Claim
        P1 to P3.
    """
    return (_predicts(committed_estimates()), _protects(), _bounds())


def _predicts(found: Estimates) -> Claim:
    return claim(
        "P1",
        "The dynamics of HE predict the stability of sequential editing",
        r"\rho_{Spearman}(HE_t, \text{editing quality}_t) \approx 1",
        f"{PAPER}, mechanism 1",
        Verdict.OPEN,
        proofs_of("E7", "B2"),
        measured("stable HE at moving outputs, and the reverse", measure.stability_both_ways),
        measured("what the committed study estimated, host by host", measure.recorded_estimates),
        measured("a first look on one seed: correlation along streams", first_look.energy_predicts),
        plain=predicting_in_plain_words(found),
        hypotheses="efficacy of retrieval among stored values, single layers, streams of the committed "
        "study; 95% intervals from resampling whole runs",
        corrected="Neither implies the other: outputs move at a stable HE (E7), and HE moves at stable "
        f"outputs (B2). {predicting_by_host(found)}",
        see=("E7", "B2"),
    )


def predicting_in_plain_words(found: Estimates) -> str:
    """P1 in one sentence, chosen by the numbers.

    Parameters
    ----------
    found
        Estimates of a study.

    Returns
    -------
    str
        How many hosts speak for |ΔHE|.
    """
    ahead = measure.closer([measure.compared(host) for host in found.hosts])
    count = len(found.hosts)
    if ahead in (0, count):
        which = "every" if ahead else "no"
        return (
            f"On {which} layer that was studied the energy goes with how well edits hold more closely than "
            "the mere size of the edit does."
        )
    return (
        f"No single answer: the energy goes with how well edits hold more closely than the mere size of the "
        f"edit does on {ahead} of the {count} layers that were studied, less closely on the others."
    )


def predicting_by_host(found: Estimates) -> str:
    """The estimates behind P1, by host, in the digits of the findings.

    Parameters
    ----------
    found
        Estimates of a study.

    Returns
    -------
    str
        Correlations and areas of |ΔHE| beside those of ‖ΔW‖/‖W‖, with intervals.
    """
    hosts = "; ".join(_of_host(host) for host in found.hosts)
    return (
        "Spearman's ρ with efficacy before collapse, of the level of |ΔHE| against ‖ΔW‖/‖W‖, and the area "
        f"under the curve near a collapse, of the same two. {hosts}."
    )


def _of_host(host: HostEstimates) -> str:
    ours, theirs = host.signal(ENERGY), host.signal(SIZE)
    return (
        f"{host.host} ({host.runs} runs, {host.seeds} seeds): ρ {ours.correlation} against "
        f"{theirs.correlation}, area {ours.area} against {theirs.area}"
    )


def _protects() -> Claim:
    return claim(
        "P2",
        "Projecting edits onto the sparse space reduces interference with pretrained knowledge",
        r"\lVert\Delta W P K_0\rVert_F \le \lVert\Delta W K_0\rVert_F",
        f"{PAPER}, mechanism 2",
        Verdict.CORRECTED,
        measured("outputs on held-out keys before and after P, by kind, λ and size", measure.interference),
        plain="On real layers the projection makes MEMIT's edits disturb preserved keys more and "
        "fine-tuning's less; it protects against every edit only where the principal space fits the keys.",
        hypotheses="UᵀU = I, r ≥ 1, 0 < α ≤ 2, C0 = K0K0ᵀ",
        corrected="For every edit iff span(U) is invariant under C0, the second moment of the preserved "
        "keys. Real layers are far from that: P raises the interference of most MEMIT edits, which are "
        "fitted to C0, at λ from 150 to 150,000 (0.01 to 60 times the size of W), and lowers that of most "
        "fine-tuning edits (0.05 to 0.2 times).",
        see=("O7",),
    )


def _bounds() -> Claim:
    return claim(
        "P3",
        "The stability of HE bounds the degradation of knowledge: |ΔV| ≥ (ΔHE/K)²",
        r"|\Delta V| \ge (\Delta HE/K)^2",
        f"{PAPER}, mechanism 3 and Theorem 1",
        Verdict.CORRECTED,
        proofs_of("B8", "B1", "B2", "B3", "B4", "E7"),
        measured("Theorem 1 as stated and as corrected, on real layers", measure.theorem_as_stated),
        plain="A change of the energy forces outputs to move; a stable energy promises nothing, and neither "
        "says whether knowledge was lost.",
        hypotheses="those of B8",
        corrected="A change of HE bounds the output change from below: ‖ΔV‖_F² ≥ σ²(ΔHE/K*)² for every edit "
        "(B8), with the squared norm (B1), inputs that see the edit (B2) and a constant that covers all of "
        "it (B3, B4). That is no statement about degradation: outputs are to move where an edit is wanted, "
        "and at a stable HE nothing bounds them from above (E7).",
        see=("B8", "B1", "B2", "B3", "B4", "E7"),
    )
