"""The adversary of the probe: edits of one size that come as near to breaking Theorem 1 as it can find."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.energy import energy_gradient
from sphere_theory.experiments.edits import of_size
from sphere_theory.motion import energy_change

# Its steps: from each of its starts, and further from the best of what they led to.
_TRY, _CLIMB = 2, 8

# Its stride, in units of the edit: at first, and the smallest that is tried before it gives up.
_STRIDE, _SHORTEST = 8.0, 1e-3

# It has arrived when a step gains less than this share.
_ARRIVED = 1e-12


class _Ascent:
    """Projected gradient ascent on ±ΔHE among edits of one size in the weak directions of the inputs.

    On those ‖ΔW X‖ is the same for all, so that this is ascent on |ΔHE|/(K‖ΔW X‖). Strides grow while the
    edit rises, and shrink where it does not.
    """

    def __init__(self, W: Tensor, weak: Tensor, size: float, s: float, side: int, start: Tensor) -> None:
        self.W, self.weak, self.size, self.s, self.side = W, weak, size, s, side
        self.edit = self._projected(start)
        self.gain = self._gain(self.edit)
        self.stride = _STRIDE

    def _projected(self, edit: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The nearest edit of the size in the weak directions."""
        return of_size((edit @ self.weak) @ self.weak.T, self.W, self.size)

    def _gain(self, edit: Float[Tensor, "n d"]) -> float:
        return self.side * energy_change(self.W, edit, s=self.s).change

    def climb(self, steps: int) -> _Ascent:
        """Take up to so many steps; none once it has arrived."""
        for _ in range(steps):
            if self.stride <= _SHORTEST:
                break
            self._step(self._projected(self.side * energy_gradient(self.W + self.edit, s=self.s)))
        return self

    def _step(self, ahead: Float[Tensor, "n d"]) -> None:
        while self.stride > _SHORTEST:
            edit = self._projected(self.edit + self.stride * ahead)
            gain = self._gain(edit)
            if self.gain < gain < math.inf:
                arrived = gain - self.gain <= _ARRIVED * abs(gain)
                self.edit, self.gain, self.stride = edit, gain, 0.0 if arrived else 4 * self.stride
                return
            self.stride /= 4


def adversary(
    W: Float[Tensor, "n d"], weak: Float[Tensor, "d k"], size: float, s: float, rng: np.random.Generator
) -> Float[Tensor, "n d"]:
    """The edit of a size that moves the energy most for what the inputs see of it, as far as found.

    Parameters
    ----------
    W
        Weights, (n, d).
    weak
        Orthonormal basis of the directions that the inputs see least, (d, k); the edit stays in them.
    size
        ‖ΔW‖_F/‖W‖_F.
    s
        Exponent of the energy.
    rng
        Source of one of its three starts; the others are ±∇HE.

    Returns
    -------
    Tensor
        ΔW, (n, d).
    """
    slope = energy_gradient(W, s=s)
    starts = ((slope, 1), (-slope, -1), (torch.from_numpy(rng.normal(size=W.shape)).to(W), 1))
    up, down, wild = (_Ascent(W, weak, size, s, side, start).climb(_TRY) for start, side in starts)
    best = max(up, wild, key=lambda ascent: ascent.gain).climb(_CLIMB)
    # HE is bounded below and not above, so a descent that leads early need not stay ahead.
    return (down.climb(_CLIMB) if down.gain > best.gain else best).edit
