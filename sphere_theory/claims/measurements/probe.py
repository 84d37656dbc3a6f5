"""B3, B5 and B8 under `probe_bound`: edits of every size and direction, an adversary among them."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager

import torch

from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Finding
from sphere_theory.claims.measurements.base import Row, against, proportion, rate_text
from sphere_theory.experiments.probe import probe_bound

# Sizes at which an adversary finds a first-order violation wherever inputs are complete; beyond them it
# need not, since ΔHE is bounded while the edit is not.
_CLIMBED = 0.1

_PROBED = (1e-8, 1e-6, 1e-4, 1e-2, 1e-1, 1.0, 10.0)

# Two neurons first: there the proved constants are sharp for small edits along the gradient.
SHAPES = ((2, 2), (4, 3), (12, 10))

# How much smaller a constant would have to be for the probe to have refuted it.
_SMALLER = 0.99


@contextmanager
def _one_thread() -> Generator[None]:
    """Matrices of a dozen rows gain nothing from more threads, and lose much where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _probe_rows(context: Context) -> list[Row]:
    """The sweep of `probe_bound`, one row for each cell and constant."""
    shapes, trials = (SHAPES[:2], 1) if context.quick else (SHAPES, 2)
    with _one_thread():
        table = probe_bound(
            shapes=shapes,
            sizes=_PROBED[::2] if context.quick else _PROBED,
            conditions=[1e6],
            trials=trials,
            seed=context.seed,
            progress=lambda share: context.report(f"probing Theorem 1: {share:.0%}"),
        )
    names = ["n", "d", "size", "inputs", "direction", "constant", "trials", "applicable", "violations"]
    rows: list[Row] = table[names].to_dict("records")
    for row, worst in zip(rows, table["tightness_max"], strict=True):
        # JSON has no infinity, and here it is a finding: outputs that do not move at all.
        row["tightness"] = worst if math.isfinite(worst) else repr(worst)
    return rows


def _all_probed(context: Context) -> list[Row]:
    return context.once("probe", lambda: _probe_rows(context))


def _probed(context: Context, constant: str) -> list[Row]:
    return [row for row in _all_probed(context) if row["constant"] == constant]


def _totals(rows: list[Row]) -> tuple[int, int, int, float]:
    """Trials, applicable, violations, and the largest tightness."""
    trials, applicable, violations = (
        sum(row[key] for row in rows) for key in ("trials", "applicable", "violations")
    )
    return trials, applicable, violations, max(float(r["tightness"]) for r in rows if r["tightness"] != "nan")


def _would_break(row: Row) -> bool:
    """Whether a constant 1% smaller would be violated in this cell."""
    return float(row["tightness"]) > _SMALLER**2


@against(
    "mine",
    {
        "a constant 1% smaller would do": _would_break,
        "it applies to edits of every size": lambda row: row["applicable"] < row["trials"],
        "it applies to no edit of 1e-2": lambda row: row["size"] >= 1e-2 and row["applicable"] > 0,
    },
)
def probed_certificate(context: Context) -> Finding:
    """The certified bound under `probe_bound`: every size, direction and kind of inputs, and an adversary.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if it is never violated, and applies to every edit of relative size 1e-4 and less.
    """
    mine = _probed(context, "certified")
    trials, applicable, violations, worst = _totals(mine)
    small = [row for row in mine if row["size"] <= 1e-4]
    return Finding(
        expected=violations == 0 and all(row["applicable"] == row["trials"] for row in small),
        summary=f"probe of {trials:,} trials: applies to {applicable:,}, violated in {violations}",
        margin=f"tightest {worst:.2g}",
        data={"probe": _all_probed(context), "mine": mine},
    )


@against(
    "mine",
    {
        "a constant 1% smaller would do": _would_break,
        "it fails beyond the reach of small edits": lambda row: (
            row["size"] >= 10 and row["applicable"] == row["trials"] and row["violations"] == 0
        ),
        "it needs complete inputs": lambda row: (
            row["inputs"] == "partial" and row["applicable"] == row["trials"] and row["violations"] == 0
        ),
    },
)
def probed_unconditional(context: Context) -> Finding:
    """The unconditional bound under `probe_bound`: every size, direction and kind of inputs.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if it applies to every trial and is violated in none.
    """
    mine = _probed(context, "unconditional")
    trials, applicable, violations, worst = _totals(mine)
    return Finding(
        expected=violations == 0 and applicable == trials,
        summary=f"probe of {trials:,} trials, relative sizes to 10: applies to {applicable:,}, violated in "
        f"{violations}",
        margin=f"tightest {worst:.2g}",
        data={"mine": mine},
    )


@against(
    "cells",
    {
        "no edit as small as 1e-6 violates it": lambda row: row["size"] <= 1e-6 and row["violations"] > 0,
        "every small edit violates it": lambda row: (
            row["direction"] != "adversarial"
            and row["size"] <= 1e-4
            and row["applicable"] > row["violations"]
        ),
        "an adversary needs edits above 1e-2": lambda row: (
            row["direction"] == "adversarial" and row["size"] < 1e-2 and row["violations"] > 0
        ),
    },
)
def probed_first_order(context: Context) -> Finding:
    """The first-order bound under `probe_bound`: what an adversary finds on complete orthonormal inputs.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if it finds a violation in every cell of relative size up to 0.1.
    """
    complete = [row for row in _probed(context, "gradient") if row["inputs"] == "orthonormal"]
    cells = [row for row in complete if row["direction"] == "adversarial" and row["size"] <= _CLIMBED]
    broken = [row for row in cells if row["violations"]]
    others = [row for row in complete if row["direction"] in {"random", "tangent"}]
    chance = proportion(sum(row["violations"] for row in others), sum(row["applicable"] for row in others))
    least = min((float(row["tightness"]) for row in cells), default=math.nan) - 1
    return Finding(
        expected=bool(cells) and len(broken) == len(cells),
        summary=f"K_grad, adversary, orthonormal inputs, sizes 1e-8 to {_CLIMBED:g}: violated in "
        f"{len(broken)} of {len(cells)} cells; random edits of every size: {rate_text(chance)}",
        margin=f"beyond the bound by {least:.1g} or more",
        data={"cells": cells + others},
    )
