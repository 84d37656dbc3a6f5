"""Where a stream of edits leaves the range of Theorem 1: step size × edit count.

The cumulative edit of t random steps of relative size ε is asked three questions: does one certificate
cover the whole way (ledger B5); does one at least cover each single step, so that the path bound
holds (B6); and is the first-order change of energy, which the paper's proof rests on, right to 10%.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import full_precision
from sphere_theory.constants import smallest_gap
from sphere_theory.energy import energy_gradient
from sphere_theory.motion import as_motion, energy_change

REGIMES = ("small perturbation", "certified", "certified step by step", "first order only", "void")
TAYLOR_TOLERANCE = 0.1


@dataclass(frozen=True)
class RegimeCell:
    """One cell of the map.

    Attributes
    ----------
    step
        ε = ‖ΔW_t‖_F/‖W‖_F of one edit.
    edits
        Number of edits t.
    regime
        "small perturbation": certified as a whole, and the first order is right; "certified": as a
        whole, but the first order is off; "certified step by step"; "first order only": right, but not
        certified; "void": nothing supports the bound, even where it happens to hold.
    smallest_gap, step_gap
        min φ_ij of the cumulative edit, and of one step from where the stream stands, radians.
    energy_change
        ΔHE of the cumulative edit.
    first_order_error
        |ΔHE − ⟨∇HE, ΔW⟩|/|ΔHE|.
    """

    step: float
    edits: int
    regime: str
    smallest_gap: float
    step_gap: float
    energy_change: float
    first_order_error: float

    def record(self) -> dict[str, Any]:
        """The cell as plain numbers."""
        return asdict(self)


@full_precision()
def regime_map(
    W: Float[Tensor, "n d"], *, steps: Sequence[float], counts: Sequence[int], seed: int
) -> Iterator[RegimeCell]:
    """Follow random streams of several step sizes.

    Steps are independent Gaussian matrices, so the sum of k of them is drawn at once, exactly in
    distribution, as one Gaussian matrix √k times as large.

    Parameters
    ----------
    W
        Weights, (n, d), without coincident neurons.
    steps
        Relative sizes ε.
    counts
        Edit counts, rising.
    seed
        Seed of the streams.

    Yields
    ------
    RegimeCell
        One for each step size and count.
    """
    wide = W.double()
    slope = energy_gradient(wide)
    for step in steps:
        generator = torch.Generator().manual_seed(seed)
        total, before = torch.zeros_like(wide), 0
        for count in counts:
            drawn = torch.randn(tuple(wide.shape), generator=generator, dtype=torch.float64).to(wide.device)
            unit = drawn * (step * float(torch.linalg.vector_norm(wide)) / math.sqrt(wide.numel()))
            total = total + math.sqrt(count - before) * unit
            before = count
            yield _cell(wide, total, unit, slope, step, count)


def _cell(W: Tensor, total: Tensor, unit: Tensor, slope: Tensor, step: float, count: int) -> RegimeCell:
    whole, single = smallest_gap(as_motion(W, total)), smallest_gap(as_motion(W + total, unit))
    change = energy_change(W, total).change
    predicted = float((slope * total).sum())
    error = abs(change - predicted) / abs(change) if change else math.nan
    regime = _regime(not whole.obstacle(), not single.obstacle(), error <= TAYLOR_TOLERANCE)
    return RegimeCell(step, count, regime, whole.angle, single.angle, change, error)


def _regime(whole: bool, single: bool, taylor: bool) -> str:
    if whole:
        return "small perturbation" if taylor else "certified"
    if single:
        return "certified step by step"
    return "first order only" if taylor else "void"
