"""AlphaEdit: edits inside the null space of preserved keys (Fang et al. 2024, arXiv 2410.02355, eq. 14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_real, full_precision
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.normal_equations import Penalty, remembered_solution
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step, low_rank_step
from sphere_theory.errors import SingularError


@full_precision()
def null_space(memory: LayerMemory, threshold: float) -> Float[Tensor, "d q"]:
    """Directions that preserved keys hardly use: eigenvectors of C0 with eigenvalues below a threshold.

    Parameters
    ----------
    memory
        The layer, with C0.
    threshold
        In the unit of C0, squared activations.

    Returns
    -------
    Tensor
        Orthonormal basis, (d, q), float64.

    Raises
    ------
    SingularError
        No eigenvalue is below the threshold, so that no edit is possible.
    ShapeError
        No C0.
    """
    values, vectors = torch.linalg.eigh(memory.moment())
    kept = int((values < threshold).sum())
    if not kept:
        lowest = f"eigenvalues from {float(values[0]):.3g} to {float(values[-1]):.3g}"
        raise SingularError("memory.second_moment", f"an eigenvalue below threshold={threshold:g}", lowest)
    return vectors[:, :kept].contiguous()


@dataclass(frozen=True)
class AlphaEdit(Editor):
    """ΔW = Yᵀ with (P0(KKᵀ + K_pK_pᵀ) + L2·I) Y = P0 K Rᵀ, P0 the projector on the null space of C0.

    P0 takes in the eigenvectors of C0 with eigenvalues below a threshold. In their coordinates Z = QᵀK,
    P0 = QQᵀ, this is ridge regression with the penalty L2·I: ΔW = R Zᵀ(L2·I + Z_pZ_pᵀ + ZZᵀ)⁻¹ Qᵀ.

    Parameters
    ----------
    l2
        L2. Default 10, as released.
    threshold
        Default 2e-2, as released for LLaMA3-8B.

    Raises
    ------
    RangeError
        L2 or threshold not positive.
    """

    l2: float = 10.0
    threshold: float = 2e-2

    name: ClassVar[str] = "alphaedit"

    def __post_init__(self) -> None:
        as_real(self.l2, "l2", low=0, low_open=True)
        as_real(self.threshold, "threshold", low=0, low_open=True)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch, of rank b, at O(dqb + q²b) for a null space of q dimensions.

        Parameters
        ----------
        memory
            The layer, with C0 and what earlier batches left.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            L = R, (n, b), and Q(L2·I + Z_pZ_pᵀ + ZZᵀ)⁻¹Z, (d, b).

        Raises
        ------
        SingularError
            An empty null space.
        ShapeError, DTypeError
            No C0, or a batch that does not fit the layer.
        """
        K, R = memory.keys_and_residual(batch)
        space = memory.remembered("null_space", lambda: null_space(memory, self.threshold))
        solution = remembered_solution(Penalty(memory, ridge=0.0, damping=self.l2, remedy="l2"), space.T @ K)
        return low_rank_step(memory, R, space @ solution.right, {**solution.state, "null_space": space})
