"""Theorem 1 audited on real layers: B2, B3, B5 and B8 on every kind of edit and of inputs, B6 by size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from itertools import product
from typing import Any

from sphere_theory.bound import BoundAudit, audit_bound
from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Finding
from sphere_theory.claims.measurements.base import Row, against, counted, largest
from sphere_theory.energy import energy_gradient
from sphere_theory.experiments.edits import INPUTS, make_edit, make_inputs, of_size
from sphere_theory.experiments.edits import KINDS as EDITS
from sphere_theory.experiments.regimes import REGIMES, regime_map

# XᵀX − I of inputs that still count as orthonormal.
ORTHONORMAL = 1e-5

# Kinds of edits that the quick budget audits on each kind of inputs: all that tell the readings apart.
QUICK = {"orthonormal": EDITS, "partial": ("small", "hidden"), "activations": ("large", "memit")}


def audit_record(audit: BoundAudit, **labels: Any) -> Row:
    """An audit as plain values.

    Parameters
    ----------
    audit
        Of one edit.
    **labels
        What else the row is to say.

    Returns
    -------
    dict
        JSON-ready.
    """
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
        "angular_bound": audit.angular_bound,
        "enclosure": [audit.enclosure.low, audit.enclosure.high],
        "relative_edit": audit.relative_edit,
        "output_change_squared": audit.output_change_squared,
        "orthonormality_error": audit.orthonormality_error,
        "input_strength": audit.input_strength,
        "largest_turn": audit.largest_turn,
        "smallest_gap": audit.smallest_gap,
        "checks": checks,
    }


def audits(context: Context, layers: Iterable[int], cases: Iterable[tuple[str, str]]) -> list[Row]:
    """Audits as records; one that several claims ask for is made once.

    Parameters
    ----------
    context
        How to run.
    layers
        Which.
    cases
        Pairs of a kind of edit and a kind of inputs.

    Returns
    -------
    list of dict
        As `audit_record` returns them.
    """
    return [
        context.once(("audit", layer, *case), partial(_audit, context, layer, *case))
        for layer, case in product(layers, cases)
    ]


def _audit(context: Context, layer: int, kind: str, which: str) -> Row:
    context.report(f"auditing layer {layer}: {kind} edit, {which} inputs")
    W, keys = context.weight(layer), context.keys(layer)
    delta = context.once(("edit", layer, kind), lambda: make_edit(kind, W, keys, seed=context.seed))
    audit = audit_bound(W, delta, make_inputs(which, keys, seed=context.seed))
    return audit_record(audit, layer=layer, edit=kind, inputs=which)


def all_audits(context: Context) -> list[Row]:
    """Every kind of edit on every kind of inputs, on the layers that are audited.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    list of dict
        As `audit_record` returns them.
    """
    chosen = QUICK if context.quick else dict.fromkeys(INPUTS, EDITS)
    cases = [(edit, which) for which, edits in chosen.items() for edit in edits]
    return audits(context, context.audited, cases)


def verdicts(records: Iterable[Row], kind: str) -> list[str]:
    """What became of one constant, record by record."""
    return [record["checks"][kind]["verdict"] for record in records]


def tightest(records: Iterable[Row], kind: str) -> float:
    """The largest lower bound of ‖ΔV‖² over what it is."""
    return largest(record["checks"][kind]["tightness"] for record in records)


def _tally(found: list[str]) -> str:
    names = ("holds", "violated", "undecided", "not applicable")
    return ", ".join(f"{found.count(name)} {name}" for name in names if found.count(name))


@against(
    "audits",
    {
        "XᵀX = I suffices": lambda row: (
            row["orthonormality_error"] < ORTHONORMAL and row["checks"]["gradient"]["verdict"] == "violated"
        ),
        "σ > 0 is needed": lambda row: (
            row["input_strength"] == 0
            and row["checks"]["gradient"]["verdict"] == "holds"
            and row["output_change_squared"] > 1e-20
        ),
        "an edit that the inputs do not see leaves HE as it is": lambda row: (
            row["output_change_squared"] < 1e-20 and abs(row["energy_change"]) > 1e-9
        ),
    },
)
def hidden_edit(context: Context) -> Finding:
    """Edits on fewer orthonormal inputs than dimensions: one that they do not see, and one that they do.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if the edit outside their span violates the first-order reading on every layer, though
        XᵀX = I, and neither the unconditional one nor the certified one; and if a random edit obeys it at
        σ = 0: the condition is sufficient, not needed.
    """
    records = audits(context, context.layers, [("hidden", "partial"), ("small", "partial")])
    hidden, seen = ([r for r in records if r["edit"] == edit] for edit in ("hidden", "small"))
    proved = verdicts(records, "unconditional") + verdicts(records, "certified")
    blind = all(record["input_strength"] == 0 for record in records)
    outputs = max(record["output_change_squared"] for record in hidden)
    least = min(record["checks"]["gradient"]["tightness"] for record in hidden)
    return Finding(
        expected=set(verdicts(hidden, "gradient")) == {"violated"}
        and set(verdicts(seen, "gradient")) == {"holds"}
        and "violated" not in proved
        and blind,
        summary=f"edit outside the span of 64 orthonormal inputs: ΔHE ≠ 0 at ‖ΔV‖² ≤ {outputs:.1g}, violated "
        f"on {counted(len(hidden), 'layer')}; a random edit of the same size on the same inputs, σ = 0 "
        "too, obeys it on all",
        margin=f"(ΔHE/K)²/‖ΔV‖² ≥ {least:.1g}",
        data={"audits": records},
    )


@against(
    "audits",
    {
        "K_grad bounds small edits": lambda row: row["checks"]["gradient"]["verdict"] == "violated",
        "it fails by rounding alone": lambda row: row["checks"]["gradient"]["tightness"] > 1.01,
        "K_tri fails there too": lambda row: row["checks"]["triangle"]["verdict"] == "holds",
    },
)
def ascent_edit(context: Context) -> Finding:
    """Edits along +∇HE of every small size: the reading with K_grad fails, those with K_tri and K* hold.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if K_grad is violated at every size from 1e-7 to 1e-2 on every layer, and K_tri, K* and
        K_cert at none.
    """
    records = []
    for layer in context.layers:
        W = context.weight(layer).double()
        slope = energy_gradient(W)
        for exponent in (-7, -4, -2) if context.quick else range(-7, -1):
            delta = of_size(slope, W, 10.0**exponent)
            records.append(
                audit_record(audit_bound(W, delta), layer=layer, edit="ascent", inputs="orthonormal")
            )
    found = verdicts(records, "gradient")
    held = [v for kind in ("triangle", "unconditional", "certified") for v in verdicts(records, kind)]
    excess = [record["checks"]["gradient"]["tightness"] - 1 for record in records]
    return Finding(
        expected=set(found) == {"violated"} and "violated" not in held,
        summary=f"ΔW = +ε∇HE, ε 1e-7 to 1e-2: K_grad violated in {found.count('violated')} of {len(found)}, "
        f"K_tri in {verdicts(records, 'triangle').count('violated')}",
        margin=f"beyond the bound by {min(excess):.1g} to {max(excess):.2g}",
        data={"audits": records},
    )


@against(
    "audits",
    {
        "it covers every edit": lambda row: row["checks"]["certified"]["verdict"] == "not applicable",
        "it covers none as large as 1e-3": lambda row: (
            row["relative_edit"] > 9e-4 and row["checks"]["certified"]["verdict"] == "holds"
        ),
        "K_cert is below K*": lambda row: (
            row["checks"]["certified"]["constant"] > row["checks"]["unconditional"]["constant"]
        ),
    },
)
def certified_bound(context: Context) -> Finding:
    """The certified, edit-local bound on every kind of edit and of inputs.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if it is never violated, applies to the small edits, and is never below K* where it does.
    """
    records = all_audits(context)
    found = verdicts(records, "certified")
    small = [record for record in records if record["edit"] in ("small", "ascent", "hidden")]
    never_below = all(_constant(r, "unconditional") <= _constant(r, "certified") for r in _covered(records))
    return Finding(
        expected="violated" not in found and set(verdicts(small, "certified")) == {"holds"} and never_below,
        summary=f"{len(records)} audits: {_tally(found)}; K* ≤ K_cert wherever it applies",
        margin=f"tightest {tightest(records, 'certified'):.1g}",
        data={"audits": records},
    )


def _constant(record: Row, kind: str) -> float:
    return float(record["checks"][kind]["constant"])


def _covered(records: Iterable[Row]) -> list[Row]:
    return [record for record in records if record["checks"]["certified"]["verdict"] != "not applicable"]


@against(
    "audits",
    {
        "it is not applicable to an edit as large as the weights": lambda row: (
            row["relative_edit"] > 0.99 and row["checks"]["unconditional"]["verdict"] == "holds"
        ),
        "it asks for neurons that keep apart (φ > 0)": lambda row: (
            row["smallest_gap"] < 0 and row["checks"]["unconditional"]["verdict"] == "holds"
        ),
        "K_grad would do in its place": lambda row: row["checks"]["gradient"]["verdict"] == "violated",
        "it is no tighter than the certified one": lambda row: (
            row["checks"]["certified"]["constant"] > 1.01 * row["checks"]["unconditional"]["constant"]
        ),
    },
)
def unconditional_bound(context: Context) -> Finding:
    """The unconditional bound on the same audits: every kind of edit and of inputs, of every size.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if it applies to every one of them and is violated by none.
    """
    records = all_audits(context)
    found = verdicts(records, "unconditional")
    beyond = sum(record["smallest_gap"] < 0 for record in records)
    size = max(record["relative_edit"] for record in records)
    return Finding(
        expected=set(found) <= {"holds", "undecided"} and "holds" in found,
        summary=f"{len(records)} audits, relative sizes to {size:.2g}: {_tally(found)}; applies to all, "
        f"{beyond} of them beyond the certified bound's reach",
        margin=f"tightest {tightest(records, 'unconditional'):.1g}",
        data={"audits": records},
    )


def _right(cell: Row) -> bool:
    """Whether the first order is right to 10%."""
    return cell["regime"] in {"small perturbation", "first order only"}


@against(
    "cells",
    {
        "the first order stays right": lambda cell: not _right(cell),
        "the first order is right nowhere": _right,
        "|ΔHE| comes to a tenth of the bound for every edit": lambda cell: (
            abs(cell["energy_change"]) < 0.1 * cell["bound"]
        ),
    },
)
def regimes(context: Context) -> Finding:
    """Step size × edit count: where the first order is right, the sign certified, and whether B8 holds.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if the bound for every edit holds in every cell, ΔHE lies in every enclosure, the first
        order is right for a small step and off for the largest streams.
    """
    W = context.weight(context.middle)
    steps = [10.0 ** (k / 2) for k in range(-10, 1, 2 if context.quick else 1)]
    counts = (1, 1000, 100_000) if context.quick else [round(10 ** (k / 2)) for k in range(11)]
    cells = []
    for cell in regime_map(W, steps=steps, counts=counts, seed=context.seed):
        context.report(f"B6: {cell.edits} edits of relative size {cell.step:.1g}")
        cells.append(cell.record())
    tally = {name: sum(cell["regime"] == name for cell in cells) for name in REGIMES}
    used = max(abs(cell["energy_change"]) / cell["bound"] for cell in cells)
    return Finding(
        expected=all(map(_bounded, cells)) and _right(cells[0]) and not _right(cells[-1]),
        summary="random streams: "
        + ", ".join(f"{count} cells {name}" for name, count in tally.items() if count)
        + f"; the bound for every edit holds in all {len(cells)}",
        margin=f"|ΔHE| up to {used:.1g} of it; after {counts[-1]:,} edits the first order is right up to "
        f"steps of {_reach(cells, counts[-1]):.1g}",
        data={"cells": cells, "layer": 3},
    )


def _bounded(cell: Row) -> bool:
    change, rounding = cell["energy_change"], cell["rounding"]
    inside = cell["low"] - rounding <= change <= cell["high"] + rounding
    return bool(inside and abs(change) <= cell["bound"] + rounding)


def _reach(cells: list[Row], edits: int) -> float:
    """Largest step size up to which the first order is right after some edits."""
    wrong = [cell["step"] for cell in cells if cell["edits"] == edits and not _right(cell)]
    right = [cell["step"] for cell in cells if cell["edits"] == edits and _right(cell)]
    return max((step for step in right if step < min(wrong, default=math.inf)), default=math.nan)
