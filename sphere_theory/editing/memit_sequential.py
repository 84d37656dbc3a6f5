"""MEMIT-seq: MEMIT that keeps its past keys (the baseline of AlphaEdit, arXiv 2410.02355)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from sphere_theory.editing.memit import Memit
from sphere_theory.editing.normal_equations import Solution, remembered_solution
from sphere_theory.editing.problem import LayerMemory


@dataclass(frozen=True)
class MemitSequential(Memit):
    """ΔW = R Kᵀ(λC0 + λ_n I + K_pK_pᵀ + KKᵀ)⁻¹, with all past keys K_p in the inverse.

    Editing batch by batch ends where one edit with all batches would (ledger M1).

    Parameters
    ----------
    ridge
        λ, as in `Memit`.
    damping
        λ_n, as in `Memit`.

    Raises
    ------
    RangeError
        λ not positive, λ_n negative.
    """

    name: ClassVar[str] = "memit-seq"

    def solution(self, memory: LayerMemory, K: Float[Tensor, "d b"]) -> Solution:
        """A⁻¹K of a batch at O(d²b); A = A_0 + K_pK_pᵀ + KKᵀ.

        Parameters
        ----------
        memory
            The layer, with C0 and what earlier batches left.
        K
            Keys of the batch, float64.

        Returns
        -------
        Solution
            With the state to carry on.

        Raises
        ------
        SingularError
            A_0 has no inverse.
        """
        return remembered_solution(self.penalty(memory), K)
