"""FT: plain fine-tuning of the layer on the batch by Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from sphere_theory.arrays import as_count, as_real, full_precision
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step

# Adam's usual constants: decay of the two moments, and what keeps a division from zero.
_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class FineTune(Editor):
    """ΔW from Adam on the mean of ((W + ΔW)K − V)² over all nb entries, starting at ΔW = 0; dense.

    The released FT minimises the loss of the language model; this is the same step on one layer, with the
    values as targets. It runs all its steps, where the released one stops at a loss of 1e-2.

    Parameters
    ----------
    steps
        Number of Adam steps. Default 25.
    learning_rate
        Default 5e-4.
    clamp
        ε: after each step every entry of ΔW is clamped to [−ε, ε], as in the released code (FT-L), which
        calls it a norm constraint: it is one on the largest entry, for each batch anew. None: no clamp.
    weight_decay
        Adam's, c ≥ 0: c·(W + ΔW) is added to the gradient. Default 0.

    Raises
    ------
    RangeError
        `steps` < 1, a rate or clamp not positive, a decay negative.
    """

    steps: int = 25
    learning_rate: float = 5e-4
    clamp: float | None = None
    weight_decay: float = 0.0

    name: ClassVar[str] = "ft"

    def __post_init__(self) -> None:
        as_count(self.steps, "steps", low=1)
        as_real(self.learning_rate, "learning_rate", low=0, low_open=True)
        if self.clamp is not None:
            as_real(self.clamp, "clamp", low=0, low_open=True)
        as_real(self.weight_decay, "weight_decay", low=0)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch, dense, at O(ndb) a step of Adam.

        Parameters
        ----------
        memory
            The layer; C0 is not used.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            ΔW, (n, d); no state.

        Raises
        ------
        ShapeError, DTypeError
            A batch that does not fit the layer.
        """
        W = memory.W
        K, R = (part.to(W) for part in memory.keys_and_residual(batch))
        delta, mean, square = (torch.zeros_like(W) for _ in range(3))
        for count in range(1, self.steps + 1):
            slope = (delta @ K - R) @ K.T * (2 / R.numel())
            if self.weight_decay:
                slope.add_(W + delta, alpha=self.weight_decay)
            mean.lerp_(slope, 1 - _FIRST)
            square.mul_(_SECOND).addcmul_(slope, slope, value=1 - _SECOND)
            spread = (square / (1 - _SECOND**count)).sqrt_().add_(_EPSILON)
            delta.addcdiv_(mean, spread, value=-self.learning_rate / (1 - _FIRST**count))
            if self.clamp is not None:
                delta.clamp_(-self.clamp, self.clamp)
        return Step(delta)
