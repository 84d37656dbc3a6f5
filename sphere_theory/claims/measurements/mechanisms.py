"""P1 to P3, the paper's three mechanisms, on real layers and in what the study estimated."""

from __future__ import annotations

from typing import Any

from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Finding
from sphere_theory.claims.measurements.base import Row, against, brief, proportion, rate_text, spread
from sphere_theory.claims.measurements.bound import all_audits, hidden_edit, tightest, verdicts
from sphere_theory.claims.measurements.controls import control_rows, ratios
from sphere_theory.claims.measurements.energy import unseen_edits
from sphere_theory.claims.measurements.operator import RIDGES, kind_label, kinds, single_edits
from sphere_theory.experiments.operator_effects import EDITS
from sphere_theory.study.estimates import ENERGY, SIZE, HostEstimates, committed_estimates

# ‖ΔW‖_F/‖W‖_F of the edits, as the ledger states it.
SIZES = {"memit": (0.01, 60.0), "fine-tuning": (0.05, 0.2)}


@against(
    "rows",
    {
        "P reduces the interference of every real edit": lambda row: row["interference"] > 1,
        "P raises the interference of every real edit": lambda row: row["interference"] < 1,
        "P reduces that of MEMIT edits once they are small": lambda row: (
            row["ridge"] == RIDGES[-1] and row["interference"] > 1
        ),
    },
)
def interference(context: Context) -> Finding:
    """Outputs on held-out real keys, moved by an edit before and after the projector.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if MEMIT edits usually move them more after the projector than before, at every λ, and
        fine-tuning edits usually less: by the intervals of the rates on either side of a half. And span(U)
        is far from invariant under C0 on every layer, and the edits are as large as the ledger says.
    """
    rows, controls = [row for row in single_edits(context) if row["edit"] != "random"], control_rows(context)
    rates: list[Row] = []
    told = []
    for edit, ridge in kinds(context)[:-1]:
        own = [row for row in rows if (row["edit"], row["ridge"]) == (edit, ridge)]
        found = [row["interference"] for row in own]
        rates.append({"edit": edit, "ridge": ridge} | proportion(sum(v > 1 for v in found), len(found)))
        size = brief(row["relative_edit"] for row in own)
        told.append(
            f"{kind_label(edit, ridge)} (‖ΔW‖/‖W‖ {size}): ×{brief(found)}, more for {rate_text(rates[-1])}"
        )
    defects = [row["defect"] for row in controls if row["edit"] == "memit" and row["trial"] == 0]
    memit, tuned = rates[:-1], rates[-1]
    return Finding(
        expected=min(r["low"] for r in memit) > 0.5
        and tuned["high"] < 0.5
        and min(defects) > 0.5
        and all(SIZES[row["edit"]][0] <= row["relative_edit"] <= SIZES[row["edit"]][1] for row in rows),
        summary=f"‖ΔW P K0‖/‖ΔW K0‖ on held-out keys: {'; '.join(told)}",
        margin="edit that survives: "
        + ", ".join(f"{edit} {spread(ratios(controls, edit, 'SPHERE', 'survival'))}" for edit in EDITS[:2])
        + f"; ‖(I − UUᵀ)C0U‖/‖C0U‖ = {spread(defects)}",
        data={"rows": rows, "rates": rates, "defects": defects},
    )


def _both_ways(context: Context) -> list[Row]:
    still = [{"kind": "HE still"} | row for row in unseen_edits(context).data["rows"]]
    hidden = [{"kind": "outputs still"} | row for row in hidden_edit(context).data["audits"]]
    return still + hidden


@against(
    "rows",
    {
        "a stable HE means stable outputs": lambda row: row["kind"] == "HE still" and row["outputs"] > 0.05,
        "stable outputs mean a stable HE": lambda row: (
            row["kind"] == "outputs still"
            and row["output_change_squared"] < 1e-20 < abs(row["energy_change"])
        ),
        "ΔHE grows with ‖ΔV‖": lambda row: row["kind"] == "HE still" and row["output_change_squared"] > 1,
    },
)
def stability_both_ways(context: Context) -> Finding:
    """Outputs that move at a stable energy, and an energy that moves at stable outputs.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if real layers show both, as in E7 and B2: neither stability implies the other.
    """
    still, hidden = unseen_edits(context), hidden_edit(context)
    return Finding(
        expected=still.expected and hidden.expected,
        summary=f"{still.summary}; {hidden.summary}",
        margin="neither implies the other",
        data={"rows": _both_ways(context)},
    )


def compared(host: HostEstimates) -> Row:
    """What a host's runs say of |ΔHE| beside ‖ΔW‖, in plain numbers.

    Parameters
    ----------
    host
        Estimates of the study.

    Returns
    -------
    dict
        Correlations with efficacy before collapse and areas near it, of both, with intervals.
    """
    row: Row = {"host": host.host, "runs": host.runs, "seeds": host.seeds}
    for name, key in ((ENERGY, "energy"), (SIZE, "size")):
        signal = host.signal(name)
        for what, found in (("rho", signal.correlation), ("area", signal.area)):
            row |= {
                f"{key}_{what}": found.value,
                f"{key}_{what}_low": found.low,
                f"{key}_{what}_high": found.high,
            }
    return row


def closer(rows: list[Row]) -> int:
    """On how many hosts |ΔHE| goes with efficacy more closely than ‖ΔW‖ does: the larger |ρ|."""
    return sum(abs(row["energy_rho"]) > abs(row["size_rho"]) for row in rows)


def _within(row: Row, value: float, key: str) -> bool:
    return bool(row[f"{key}_low"] <= value <= row[f"{key}_high"])


@against(
    "rows",
    {
        "ρ = ±1 on every host, as the paper has it": lambda row: (
            not (_within(row, 1.0, "energy_rho") or _within(row, -1.0, "energy_rho"))
        ),
        "|ΔHE| goes with efficacy better than ‖ΔW‖ on every host": lambda row: (
            abs(row["energy_rho"]) < abs(row["size_rho"])
        ),
        "|ΔHE| goes with efficacy no better than ‖ΔW‖ on any host": lambda row: (
            abs(row["energy_rho"]) > abs(row["size_rho"])
        ),
        "ρ of |ΔHE| is negative on every host": lambda row: row["energy_rho"] > 0,
        "near a collapse |ΔHE| warns better than ‖ΔW‖ on every host": lambda row: (
            row["energy_area"] < row["size_area"]
        ),
    },
)
def recorded_estimates(context: Context) -> Finding:
    """What the committed study estimated, host by host: the numbers of the verdict and of the findings.

    Parameters
    ----------
    context
        How to run; nothing is drawn.

    Returns
    -------
    Finding
        As expected if hosts disagree, so that no single answer is left: |ΔHE| goes with efficacy more
        closely than ‖ΔW‖ on some and less closely on others.
    """
    rows = [compared(host) for host in committed_estimates().hosts]
    ahead = closer(rows)
    return Finding(
        expected=0 < ahead < len(rows),
        summary=f"{len(rows)} hosts of the study: |ΔHE| goes with efficacy more closely than ‖ΔW‖ on "
        f"{ahead}, warns better near a collapse on {sum(r['energy_area'] > r['size_area'] for r in rows)}",
        margin="; ".join(f"{row['host'].split(',')[0]} {_pair(row)}" for row in rows),
        data={"rows": rows},
    )


def _pair(row: dict[str, Any]) -> str:
    return f"ρ {row['energy_rho']:.2f}/{row['size_rho']:.2f}".replace("-", "−")


@against(
    "audits",
    {
        "it holds as stated, with K = ‖∇HE‖": lambda row: row["checks"]["gradient"]["verdict"] == "violated",
        "corrected, it needs a small edit": lambda row: (
            row["relative_edit"] > 0.5 and row["checks"]["unconditional"]["verdict"] == "holds"
        ),
        "corrected, it needs orthonormal inputs": lambda row: (
            row["orthonormality_error"] > 1 and row["checks"]["unconditional"]["verdict"] == "holds"
        ),
        "it bounds outputs from above": lambda row: (
            abs(row["energy_change"]) < 1e-6 and row["output_change_squared"] > 1
        ),
    },
)
def theorem_as_stated(context: Context) -> Finding:
    """Theorem 1 as the paper states it, and corrected, on the same audits of real layers.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if, on orthonormal inputs, the paper's reading is violated by some edits, and the
        corrected one applies to all of them on any inputs and is violated by none.
    """
    records = all_audits(context)
    stated = [verdict for verdict in verdicts(records, "gradient") if verdict != "not applicable"]
    corrected = verdicts(records, "unconditional")
    return Finding(
        expected="violated" in stated and set(corrected) <= {"holds", "undecided"},
        summary=f"with K = ‖∇HE‖: {stated.count('violated')} of {len(stated)} audits on orthonormal inputs "
        f"violate it; with K* and σ: {corrected.count('violated')} of {len(corrected)} on any inputs",
        margin=f"tightest corrected {tightest(records, 'unconditional'):.1g}",
        data={"audits": records},
    )
