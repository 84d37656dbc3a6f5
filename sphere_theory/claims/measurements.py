"""Claims as measurements on the real layers of MiniLM, with the number that the ledger expects."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from sphere_theory.analysis.edits import INPUTS, KINDS, make_edit, make_inputs, memit_update, of_size
from sphere_theory.analysis.layers import describe_layer
from sphere_theory.analysis.regimes import REGIMES, regime_map
from sphere_theory.bound import BoundAudit, audit_bound
from sphere_theory.claims.context import LAYERS, Context, output_name
from sphere_theory.claims.ledger import Evidence, Finding
from sphere_theory.energy import energy_change, energy_gradient
from sphere_theory.projection import NormMatchedShrinkage, SparseProjector
from sphere_theory.spectrum import bottom_space, principal_space, random_space

# Recorded for layer 3 of the checksummed weights; a value that rounds differently is a surprise.
UNIFORMITY_LAYER_3 = 0.9994
RANK_SHARE_LAYER_3 = 0.185
GRADIENT_SHARE_LAYER_3 = 0.36

CONTROLS = ("SPHERE", "same norm", "random subspace", "bottom-r")

ALPHA, ETA = 0.8, 0.5  # the paper's setting on MEMIT


def _spread(values: Iterable[float]) -> str:
    found = list(values)
    if len(found) == 1:
        return f"{found[0]:.4g}"
    return f"{statistics.median(found):.4g} [{min(found):.4g}, {max(found):.4g}]"


def uniformity(context: Context) -> Finding:
    """HE over its uniform expectation on every FFN and attention matrix.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if layer 3's output matrix is at 0.9994, and no matrix is below the simplex bound.
    """
    names = context.checkpoint.matrices("encoder.layer.*.weight")
    rows = []
    for name in names:
        context.report(f"E5: {name}")
        rows.append(describe_layer(name, context.checkpoint.matrix(name).to(context.device)).record())
    values = {row["tensor"]: row["uniformity"] for row in rows}
    layer_3 = values[output_name(3)]
    possible = all(row["simplex_ratio"] >= 1 for row in rows)
    outputs = _spread(values[output_name(layer)] for layer in LAYERS)
    return Finding(
        expected=round(layer_3, 4) == UNIFORMITY_LAYER_3 and possible,
        summary=f"HE/uniform of {len(rows)} matrices: {_spread(values.values())}; FFN outputs {outputs}",
        margin=f"layer 3: {layer_3:.6f}",
        data={"rows": rows},
    )


def gradient_share(context: Context) -> Finding:
    """Share of ‖∇HE‖² inside the principal space, against r/min(n, d).

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if the share exceeds that of a random subspace on every layer, and layer 3 is at 0.36.
    """
    rows = []
    for layer in context.layers:
        W = context.weight(layer)
        space = principal_space(W, eta=ETA)
        slope = energy_gradient(W.double())
        inside = (
            torch.linalg.vector_norm(slope @ space.basis.double()) ** 2 / torch.linalg.vector_norm(slope) ** 2
        )
        rows.append({
            "layer": layer,
            "share": float(inside),
            "rank": space.rank,
            "rank_share": space.rank / min(W.shape),
        })
    third = next(row for row in rows if row["layer"] == 3)
    as_recorded = (round(third["share"], 2), round(third["rank_share"], 3)) == (
        GRADIENT_SHARE_LAYER_3,
        RANK_SHARE_LAYER_3,
    )
    shares, ranks = _spread(r["share"] for r in rows), _spread(r["rank_share"] for r in rows)
    return Finding(
        expected=as_recorded and all(row["share"] > row["rank_share"] for row in rows),
        summary=f"share of ‖∇HE‖² in span(U): {shares} at r/n = {ranks} (η = {ETA})",
        margin=f"{min(row['share'] / row['rank_share'] for row in rows):.2f}× a random subspace",
        data={"rows": rows},
    )


def projection_effect(context: Context) -> Finding:
    """|ΔHE| of edits after the projector and after its controls, relative to before.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if the projector makes |ΔHE| larger for some real edits: it guarantees nothing (O6).
    """
    rows: list[dict[str, Any]] = []
    for layer in context.layers:
        W, keys = context.weight(layer).double(), context.keys(layer)
        space = principal_space(W, eta=ETA)
        projector = SparseProjector(space, ALPHA)
        controls: dict[str, SparseProjector | NormMatchedShrinkage] = {
            "SPHERE": projector,
            "same norm": NormMatchedShrinkage(projector),
            "random subspace": SparseProjector(random_space(space, seed=context.seed), ALPHA),
            "bottom-r": SparseProjector(bottom_space(W, space.rank), ALPHA),
        }
        for trial in range(4 if context.quick else 6):
            for kind, delta in _trial_edits(W, keys, context.seed + trial):
                before = abs(energy_change(W, delta).change)
                after = {name: energy_change(W, op(delta)).change for name, op in controls.items()}
                effect = {name: abs(change) / before for name, change in after.items()}
                rows.append({"layer": layer, "edit": kind, **effect})
    rate = {kind: _rate(rows, kind) for kind in ("memit", "random")}
    medians = {name: statistics.median(row[name] for row in rows) for name in CONTROLS}
    return Finding(
        expected=any(row["SPHERE"] > 1 for row in rows),
        summary=f"|ΔHE| larger after P: {rate['memit']:.0%} of MEMIT, {rate['random']:.0%} of random edits",
        margin="median |ΔHE| ratio: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in medians.items()),
        data={"rows": rows, "rate_larger": rate, "medians": medians},
    )


def _trial_edits(W: Tensor, keys: Tensor, seed: int) -> list[tuple[str, Tensor]]:
    gauss = torch.randn(tuple(W.shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    memit = memit_update(W, keys, batch=100, ridge=15.0, seed=seed).dense()
    return [("memit", memit), ("random", of_size(gauss.to(W.device), W, 1e-2))]


def _rate(rows: list[dict[str, Any]], kind: str) -> float:
    mine = [row["SPHERE"] > 1 for row in rows if row["edit"] == kind]
    return sum(mine) / len(mine)


def _audit_record(audit: BoundAudit, **labels: Any) -> dict[str, Any]:
    checks = {
        check.kind: {
            "constant": check.constant,
            "verdict": check.verdict,
            "why": check.reason,
            "tightness": check.tightness,
        }
        for check in audit.checks
    }
    return labels | {
        "energy_change": audit.energy_change,
        "first_order_error": audit.first_order_error,
        "relative_edit": audit.relative_edit,
        "output_change_squared": audit.output_change_squared,
        "orthonormality_error": audit.orthonormality_error,
        "input_strength": audit.input_strength,
        "largest_turn": audit.largest_turn,
        "smallest_gap": audit.smallest_gap,
        "checks": checks,
    }


def _audits(
    context: Context, layers: Iterable[int], kinds: Iterable[str], inputs: Iterable[str]
) -> list[dict[str, Any]]:
    records = []
    for layer in layers:
        W, keys = context.weight(layer), context.keys(layer)
        for kind in kinds:
            delta = make_edit(kind, W, keys, seed=context.seed)
            for which in inputs:
                context.report(f"auditing layer {layer}: {kind} edit, {which} inputs")
                audit = audit_bound(W, delta, make_inputs(which, keys, seed=context.seed))
                records.append(_audit_record(audit, layer=layer, edit=kind, inputs=which))
    return records


def _verdicts(records: list[dict[str, Any]], kind: str) -> list[str]:
    return [record["checks"][kind]["verdict"] for record in records]


def _tightest(records: list[dict[str, Any]], kind: str) -> float:
    found = [record["checks"][kind]["tightness"] for record in records]
    return max((value for value in found if math.isfinite(value)), default=math.nan)


def hidden_edit(context: Context) -> Finding:
    """Edits that orthonormal inputs do not see: the paper's hypothesis is met, its conclusion is not.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if the first-order reading is violated on every layer and the certified one is not.
    """
    records = _audits(context, context.layers, ["hidden"], ["partial"])
    violated = set(_verdicts(records, "gradient")) == {"violated"}
    kept = "violated" not in _verdicts(records, "certified")
    outputs = max(record["output_change_squared"] for record in records)
    least = min(record["checks"]["gradient"]["tightness"] for record in records)
    return Finding(
        expected=violated and kept,
        summary=f"edit outside the span of 64 orthonormal inputs: ΔHE ≠ 0 at ‖ΔV‖² ≤ {outputs:.1g}",
        margin=f"(ΔHE/K)²/‖ΔV‖² ≥ {least:.1g}",
        data={"audits": records},
    )


def ascent_edit(context: Context) -> Finding:
    """Edits along +∇HE of every size: the first-order bound fails however small they are.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if it is violated at every size on every layer.
    """
    records = []
    for layer in context.layers:
        W = context.weight(layer).double()
        slope = energy_gradient(W)
        for exponent in range(-7, -1):
            delta = of_size(slope, W, 10.0**exponent)
            audit = audit_bound(W, delta)
            records.append(_audit_record(audit, layer=layer, edit="ascent", inputs="orthonormal"))
    verdicts = _verdicts(records, "gradient")
    excess = [record["checks"]["gradient"]["tightness"] - 1 for record in records]
    return Finding(
        expected=set(verdicts) == {"violated"} and "violated" not in _verdicts(records, "certified"),
        summary=f"ΔW = +ε∇HE: {verdicts.count('violated')} of {len(verdicts)} violated (ε 1e-7 to 1e-2)",
        margin=f"beyond the bound by {min(excess):.1g} to {max(excess):.2g}",
        data={"audits": records},
    )


def radial_edit(context: Context) -> Finding:
    """Neurons lengthened by 10%: outputs move, the energy does not.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if ΔHE is zero to rounding while ‖ΔV‖² on real activations is not.
    """
    records = _audits(context, context.layers, ["radial"], ["activations"])
    energies = max(abs(record["energy_change"]) for record in records)
    outputs = min(record["output_change_squared"] for record in records)
    return Finding(
        expected=energies < 1e-6 and outputs > 1,
        summary=f"W ↦ 1.1·W on {len(records)} layers, real keys: |ΔHE| ≤ {energies:.1g}",
        margin=f"‖ΔV‖² ≥ {outputs:.3g}",
        data={"audits": records},
    )


def certified_bound(context: Context) -> Finding:
    """The certified bound on every kind of edit and of inputs.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if it is never violated, and applies to the small edits.
    """
    records = _audits(context, context.audited, KINDS, INPUTS)
    verdicts = _verdicts(records, "certified")
    small = [record for record in records if record["edit"] in ("small", "ascent", "hidden")]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("holds", "violated", "not applicable"))
    return Finding(
        expected="violated" not in verdicts and set(_verdicts(small, "certified")) == {"holds"},
        summary=f"{len(records)} audits: {counts}",
        margin=f"tightest {_tightest(records, 'certified'):.1g}",
        data={"audits": records},
    )


def tightness(context: Context) -> Finding:
    """(ΔHE/K)²/‖ΔV‖² of random, MEMIT-like and gradient-aligned edits against their relative size.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if random and MEMIT-like edits stay below 1e-3, up to relative size 1e-2 for K_grad and
        wherever it applies for K_cert: the bound holds by orders of magnitude.
    """
    records = []
    sizes = [10.0 ** (k / 2) for k in range(-16, 1, 4 if context.quick else 2)]
    for layer in context.layers:
        W = context.weight(layer).double()
        for name, direction in _directions(W, context.keys(layer), context.seed).items():
            for size in sizes:
                context.report(f"B7: layer {layer}, {name} edit of relative size {size:.1g}")
                audit = audit_bound(W, of_size(direction, W, size))
                records.append(_audit_record(audit, layer=layer, edit=name, inputs="orthonormal"))
    plain = [record for record in records if record["edit"] != "ascent"]
    first = _tightest([record for record in plain if record["relative_edit"] < 0.011], "gradient")
    certified = _tightest(plain, "certified")
    return Finding(
        expected=max(first, certified) < 1e-3,
        summary=f"random and MEMIT-like: ≤ {first:.1g} (K_grad, size ≤ 1e-2), ≤ {certified:.1g} (K_cert)",
        margin=f"holds by a factor {1 / certified:.0e}",
        data={"audits": records},
    )


def _directions(W: Tensor, keys: Tensor, seed: int) -> dict[str, Tensor]:
    gauss = torch.randn(tuple(W.shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return {
        "random": gauss.to(W.device),
        "MEMIT-like": memit_update(W, keys, batch=100, ridge=15.0, seed=seed).dense(),
        "ascent": energy_gradient(W),
    }


def regimes(context: Context) -> Finding:
    """Step size × edit count: where the bound is certified, first order only, or void.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if small streams are certified and large ones are not.
    """
    W = context.weight(3)
    finer = 1 if context.quick else 2
    steps = [10.0 ** (k / finer) for k in range(-5 * finer, 1)]
    counts = [round(10 ** (k / finer)) for k in range(5 * finer + 1)]
    cells = []
    for cell in regime_map(W, steps=steps, counts=counts, seed=context.seed):
        context.report(f"B6: {cell.edits} edits of relative size {cell.step:.1g}")
        cells.append(cell.record())
    tally = {name: sum(cell["regime"] == name for cell in cells) for name in REGIMES}
    most = counts[-1]
    return Finding(
        expected=cells[0]["regime"] == "small perturbation" and cells[-1]["regime"] not in REGIMES[:2],
        summary="random streams: "
        + ", ".join(f"{count} cells {name}" for name, count in tally.items() if count),
        margin=f"after {most} edits: first order right up to steps of {_largest(cells, most, 1):.1g}, "
        f"certified up to {_largest(cells, most, 2):.1g}",
        data={"cells": cells, "layer": 3},
    )


def _largest(cells: list[dict[str, Any]], edits: int, best: int) -> float:
    """Largest step size that is still in one of the best regimes after some edits."""
    return max(
        (c["step"] for c in cells if c["edits"] == edits and c["regime"] in REGIMES[:best]), default=math.nan
    )


def measured(name: str, run: Any) -> Evidence:
    """A measurement as evidence.

    Parameters
    ----------
    name
        What is measured.
    run
        One of the functions of this module.

    Returns
    -------
    Evidence
        Of kind "measurement".
    """
    return Evidence("measurement", name, run)
