"""MEMIT: many edits in one ridge regression (Meng et al. 2023, arXiv 2210.07229, eq. 14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_real, full_precision
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.normal_equations import Penalty, Solution, forgetful_solution
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step, low_rank_step


@dataclass(frozen=True)
class Memit(Editor):
    """ΔW = R Kᵀ(λC0 + λ_n I + KKᵀ)⁻¹ with R = V − WK; each batch forgets the ones before.

    The minimiser of ‖(W + ΔW)K − V‖² + λ‖ΔW C0^½‖² + λ_n‖ΔW‖². The method has λ_n = 0.

    Parameters
    ----------
    ridge
        λ, how much preserved keys count, in numbers of keys. Default 15,000, the released setting for
        LLaMA3-8B.
    damping
        λ_n ≥ 0, for a C0 that has no inverse. Default 0.

    Raises
    ------
    RangeError
        λ not positive, λ_n negative.
    """

    ridge: float = 15_000.0
    damping: float = 0.0

    name: ClassVar[str] = "memit"

    def __post_init__(self) -> None:
        as_real(self.ridge, "ridge", low=0, low_open=True)
        as_real(self.damping, "damping", low=0)

    def penalty(self, memory: LayerMemory) -> Penalty:
        """A_0 = λC0 + λ_n I of a layer.

        Parameters
        ----------
        memory
            The layer.

        Returns
        -------
        Penalty
            A_0, not formed.
        """
        return Penalty(memory, self.ridge, self.damping)

    def solution(self, memory: LayerMemory, K: Float[Tensor, "d b"]) -> Solution:
        """A⁻¹K of a batch; A = A_0 + KKᵀ.

        Parameters
        ----------
        memory
            The layer, with C0.
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
        return forgetful_solution(self.penalty(memory), K)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch, of rank b.

        Parameters
        ----------
        memory
            The layer, with C0.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            L = R, (n, b), and A⁻¹K, (d, b).

        Raises
        ------
        SingularError
            λC0 + λ_n I has no inverse.
        ShapeError, DTypeError
            No C0, or a batch that does not fit the layer.
        """
        K, R = memory.keys_and_residual(batch)
        solution = self.solution(memory, K)
        return low_rank_step(memory, R, solution.right, solution.state)
