"""MOSE: multiplicative edits, W ← RW with an orthogonal R (arXiv 2601.07873), and its mirror image W ← WR.

A rotation on the left turns all columns alike and keeps the energy of the columns; on the right it turns
all neurons alike and keeps hyperspherical energy (ledger M3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_real, full_precision
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.normal_equations import Penalty
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step


@dataclass(frozen=True)
class Mose(Editor):
    """W ← RW with the orthogonal R that minimises ‖RWK − V‖² + λ·tr((RW − W)C0(RW − W)ᵀ); dense.

    Orthogonal Procrustes: R is the polar factor of V(WK)ᵀ + λ·W C0 Wᵀ. Where that matrix leaves R open (it
    has at most the rank of W), R is the rotation nearest to none. Values whose norm is not that of
    WK cannot be met exactly.

    Parameters
    ----------
    ridge
        λ, how much preserved keys count, in numbers of keys. Default 15,000, as for MEMIT.

    Raises
    ------
    RangeError
        λ not positive.
    """

    ridge: float = 15_000.0

    name: ClassVar[str] = "mose"

    def __post_init__(self) -> None:
        as_real(self.ridge, "ridge", low=0, low_open=True)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch, dense, at O(nd² + n³).

        Parameters
        ----------
        memory
            The layer, with C0.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            ΔW = (R − I)W, (n, d); no state.

        Raises
        ------
        ShapeError, DTypeError
            No C0, or a batch that does not fit the layer.
        """
        K, V = memory.keys_and_values(batch)
        W = memory.W.double()
        rotation = nearest_rotation(V @ (W @ K).T + W @ Penalty(memory, self.ridge, 0.0).dense(len(K)) @ W.T)
        return Step((rotation @ W - W).to(memory.W))


@dataclass(frozen=True)
class MoseRight(Mose):
    """W ← WR with the orthogonal R that minimises ‖RK − K'‖² + λ·tr((R − I)C0(R − I)ᵀ); dense.

    K' = K + W⁺(V − WK) are the inputs nearest to K to which W gives the values V (or, for n > d, comes
    nearest to giving them). ‖RK − K'‖² is what of it depends on R: −2 tr(Rᵀ K'Kᵀ), and the other term
    is −2λ tr(RᵀC0), so R is the polar factor of K'Kᵀ + λC0. That replaces ‖WRK − V‖² by the distance of
    inputs, for the problem itself has no closed form: an input error along a large singular direction
    of W counts no more than along a small one.

    Parameters
    ----------
    ridge
        λ, as for `Mose`.

    Raises
    ------
    RangeError
        λ not positive.
    """

    name: ClassVar[str] = "mose-right"

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch, dense, at O(nd² + d³).

        Parameters
        ----------
        memory
            The layer, with C0.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            ΔW = W(R − I), (n, d); no state.

        Raises
        ------
        ShapeError, DTypeError
            No C0, or a batch that does not fit the layer.
        """
        K, residual = memory.keys_and_residual(batch)
        W = memory.W.double()
        wanted = K + torch.linalg.pinv(W) @ residual
        rotation = nearest_rotation(wanted @ K.T + Penalty(memory, self.ridge, 0.0).dense(len(K)))
        return Step((W @ rotation - W).to(memory.W))


def nearest_rotation(M: Float[Tensor, "m m"]) -> Float[Tensor, "m m"]:
    """The orthogonal R with the largest tr(RᵀM), and among those the one nearest to I.

    With M = AΣBᵀ, R = A₁B₁ᵀ on the singular vectors of Σ > 0. The others may be mapped by any orthogonal
    X, R = A₁B₁ᵀ + A₀XB₀ᵀ; the largest trace has the polar factor X of A₀ᵀB₀.

    Parameters
    ----------
    M
        Any square matrix, float64.

    Returns
    -------
    Tensor
        R, with determinant 1 or −1.
    """
    A, values, B = torch.linalg.svd(M)
    rank = int((values > len(M) * torch.finfo(M.dtype).eps * values[0]).sum())
    known = A[:, :rank] @ B[:rank]
    if rank == len(M):
        return known
    left, _, right = torch.linalg.svd(A[:, rank:].T @ B[rank:].T)
    return known + A[:, rank:] @ (left @ right) @ B[rank:]
