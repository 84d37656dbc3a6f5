"""O7 on real layers: the projector beside plain shrinkage, a random subspace and the bottom directions."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Finding
from sphere_theory.claims.measurements.base import Row, against, brief
from sphere_theory.claims.measurements.operator import ALPHA, ETA, TRIALS
from sphere_theory.experiments.operator_effects import (
    EDITS,
    OPERATORS,
    control_trials,
    invariance_defect,
    split_keys,
)
from sphere_theory.spectrum import principal_space

# ‖ΔW‖_F/‖W‖_F of single edits of real layers, as the ledger states it: MEMIT at λ = 1,500.
SIZES = {"memit": (0.8, 25.0), "fine-tuning": (0.05, 0.2)}


def control_rows(context: Context) -> list[Row]:
    """Real and random edits through the projector and its controls.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    list of dict
        Records of `ControlTrial`, each with its layer and how far span(U) is from invariant under C0.
    """

    def measure() -> list[Row]:
        rows = []
        for layer in context.layers:
            W, keys = context.weight(layer).double(), split_keys(context.keys(layer))
            space = principal_space(W, eta=ETA)
            labels = {"layer": layer, "defect": invariance_defect(space, keys.moment)}
            trials = 1 if context.quick else TRIALS
            for trial in control_trials(W, keys, space, alpha=ALPHA, trials=trials, seed=context.seed):
                context.report(
                    f"layer {layer}, trial {trial.trial}: {trial.edit} edit through P and its controls"
                )
                rows.append(labels | trial.record())
        return rows

    return context.once("controls", measure)


def ratios(rows: Iterable[Row], edit: str, operator: str, what: str) -> list[float]:
    """What an operator makes of edits of one kind, after over before.

    Parameters
    ----------
    rows
        As `control_rows` returns them.
    edit, operator, what
        Which: one of `EDITS`, one of `OPERATORS`, and a column of `Effect`.

    Returns
    -------
    list of float
        One for each draw.
    """
    return [row["effects"][operator][what] for row in rows if row["edit"] == edit]


def _sizes_text(rows: Iterable[Row], edit: str) -> str:
    """How large the edits of one kind are, ‖ΔW‖_F/‖W‖_F."""
    return brief(row["relative_edit"] for row in rows if row["edit"] == edit)


def _medians(rows: list[Row]) -> list[dict[str, Any]]:
    """Of interference per surviving edit ("price") and of |ΔHE|, by edit, a column an operator."""
    return [
        {"edit": edit, "what": what}
        | {name: statistics.median(ratios(rows, edit, name, what)) for name in OPERATORS}
        for what in ("price", "energy")
        for edit in EDITS[:2]
    ]


def _gain(row: Row, rival: str = "same norm") -> float:
    """P's median over that of one of its controls: below 1 where P is better."""
    return row["SPHERE"] / row[rival]


@against(
    "medians",
    {
        "P costs a tenth less interference than shrinkage": lambda row: (
            row["what"] == "price" and _gain(row) > 0.9
        ),
        "P lowers |ΔHE| a tenth below shrinkage": lambda row: row["what"] == "energy" and _gain(row) > 0.9,
        "any subspace of that rank does as P does": lambda row: abs(_gain(row, "random subspace") - 1) > 0.05,
        "the bottom directions do as P does": lambda row: abs(_gain(row, "bottom-r") - 1) > 0.05,
    },
)
def directions_or_shrinkage(context: Context) -> Finding:
    """The projector against plain shrinkage, a random subspace and the bottom directions, on real edits.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if, on MEMIT and on fine-tuning edits, the projector's median is not more than 2% below
        that of shrinkage: neither in interference per surviving edit, nor in |ΔHE|. And if the edits are as
        large as the ledger says.
    """
    rows = control_rows(context)
    medians = _medians(rows)
    told = {
        (row["what"], row["edit"]): f"{row['edit']} {row['SPHERE']:.3g} against "
        + " / ".join(f"{row[name]:.3g}" for name in OPERATORS[1:])
        for row in medians
    }
    controls = " / ".join(OPERATORS[1:]).replace("same norm", "shrinkage")
    sizes = ", ".join(f"{edit} {_sizes_text(rows, edit)}" for edit in EDITS[:2])
    as_large = all(
        low <= row["relative_edit"] <= high
        for edit, (low, high) in SIZES.items()
        for row in rows
        if row["edit"] == edit
    )
    return Finding(
        expected=min(map(_gain, medians)) > 0.98 and as_large,
        summary=f"interference on held-out keys per surviving edit, after/before, P against {controls}: "
        + "; ".join(told["price", edit] for edit in EDITS[:2])
        + f" (‖ΔW‖/‖W‖: {sizes})",
        margin="|ΔHE| after/before, in the same order: "
        + "; ".join(told["energy", edit] for edit in EDITS[:2]),
        data={"rows": rows, "medians": medians},
    )
