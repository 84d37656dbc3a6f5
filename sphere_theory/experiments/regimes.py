"""Where a stream of edits leaves the range of Theorem 1's proof: step size × edit count.

The cumulative edit of t random steps of relative size ε is asked three questions: is the first-order change
of energy, which the paper's proof rests on, right to 10%; is the sign of ΔHE certified (ledger B9); and how
much of the bound that holds for every edit (B8) does ΔHE come to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import frobenius, full_precision
from sphere_theory.enclosure import enclose, end_bounds
from sphere_theory.energy import energy_gradient
from sphere_theory.motion import as_motion, change_along
from sphere_theory.pulls import pulls_at_ends

REGIMES = ("small perturbation", "sign certified", "first order only", "unconditional")
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
        "small perturbation": the first order is right, and the sign of ΔHE certified; "sign certified": but
        the first order off; "first order only": right, and the sign open; "unconditional": neither, so that
        the bound for every edit is all there is. It holds in every cell.
    energy_change, rounding
        ΔHE of the cumulative edit, and how far it may be rounded.
    low, high
        ΔHE is between these (B9 and B8, in one piece).
    bound
        |ΔHE| ≤ this by the turns of the neurons (B8).
    first_order_error
        |ΔHE − ⟨∇HE, ΔW⟩|/|ΔHE|.
    """

    step: float
    edits: int
    regime: str
    energy_change: float
    rounding: float
    low: float
    high: float
    bound: float
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
            unit = drawn * (step * frobenius(wide) / math.sqrt(wide.numel()))
            total = total + math.sqrt(count - before) * unit
            before = count
            yield _cell(wide, total, slope, step, count)


def _cell(W: Tensor, total: Tensor, slope: Tensor, step: float, count: int) -> RegimeCell:
    motion = as_motion(W, total)
    found, pulled = change_along(motion, 1.0), pulls_at_ends(motion, 1.0)
    inside, ends = enclose(motion, pulled, 1.0), end_bounds(motion, pulled)
    predicted = float((slope * total).sum())
    error = abs(found.change - predicted) / abs(found.change) if found.change else math.nan
    regime = _regime(inside.low > 0 or inside.high < 0, error <= TAYLOR_TOLERANCE)
    bound = ends[1] if found.change > 0 else ends[0]
    return RegimeCell(
        step, count, regime, found.change, found.rounding, inside.low, inside.high, bound, error
    )


def _regime(signed: bool, taylor: bool) -> str:
    if signed:
        return "small perturbation" if taylor else "sign certified"
    return "first order only" if taylor else "unconditional"
