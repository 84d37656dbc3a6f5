"""ROME: one fact at a time, written exactly (Meng et al. 2022, arXiv 2202.05262, eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_real, full_precision
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.normal_equations import Penalty, fixed_inverse
from sphere_theory.editing.problem import (
    EditBatch,
    LayerMemory,
    State,
    Step,
    low_rank_step,
    require_nonzero_columns,
)


@dataclass(frozen=True)
class Rome(Editor):
    """ΔW = (v − Wk)(C⁻¹k)ᵀ / (kᵀC⁻¹k) for each key in turn, C = C0 + λ_n I.

    Every key of a batch is solved with the weights as the keys before it left them. The steps are
    ℓ_i u_iᵀ with u_i = C⁻¹k_i, so the last residual of key j is R_j − Σ_{i<j} ℓ_i u_iᵀk_j: with
    M = KᵀC⁻¹K the whole batch is one triangular system, L·triu(M) = R, and ΔW = L(C⁻¹K)ᵀ. A later key may
    disturb the values of earlier ones, as in the method.

    Parameters
    ----------
    damping
        λ_n ≥ 0, for a C0 that has no inverse. Default 0.

    Raises
    ------
    RangeError
        λ_n negative.
    """

    damping: float = 0.0

    name: ClassVar[str] = "rome"

    def __post_init__(self) -> None:
        as_real(self.damping, "damping", low=0)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch, of rank b, at O(d²b).

        Parameters
        ----------
        memory
            The layer, with C0.
        batch
            Keys and their new values, in the order of editing.

        Returns
        -------
        Step
            L, (n, b), and C⁻¹K, (d, b).

        Raises
        ------
        SingularError
            C has no inverse.
        RangeError
            A key of zeros.
        ShapeError, DTypeError
            No C0, or a batch that does not fit the layer.
        """
        K, R = memory.keys_and_residual(batch)
        Y, state = self.whitened(memory, K)
        L = torch.linalg.solve_triangular(torch.triu(K.T @ Y), R, upper=True, left=False)
        return low_rank_step(memory, L, Y, state)

    def whitened(self, memory: LayerMemory, K: Float[Tensor, "d b"]) -> tuple[Float[Tensor, "d b"], State]:
        """C⁻¹K, and the state that keeps C⁻¹ for the next batch.

        Parameters
        ----------
        memory
            The layer, with C0.
        K
            Keys, float64.

        Returns
        -------
        C⁻¹K, state
            (d, b) and "inverse".

        Raises
        ------
        SingularError
            C has no inverse.
        RangeError
            A key of zeros.
        """
        require_nonzero_columns(K, "batch.keys")
        fixed = fixed_inverse(Penalty(memory, ridge=1.0, damping=self.damping), len(K))
        return fixed @ K, {"inverse": fixed}
