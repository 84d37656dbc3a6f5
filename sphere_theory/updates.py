"""Edits that are kept as two thin factors: ΔW = L Rᵀ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_matrix, like


@dataclass(frozen=True)
class LowRankUpdate:
    """An edit ΔW = L Rᵀ of rank at most b, never formed unless asked for.

    Every closed-form editor's update of a batch of b keys is of this form, and stays so under
    ΔW ↦ ΔW·P.

    Parameters
    ----------
    left
        L, (n, b); numpy or torch.
    right
        R, (d, b), of the same kind.

    Raises
    ------
    ShapeError
        Not matrices, or with different numbers of columns.
    DTypeError, NonFiniteError
        Not real floating-point numbers; NaN or infinity.
    """

    left: Any
    right: Any

    def __post_init__(self) -> None:
        columns = as_matrix(self.left, "left").shape[1]
        as_matrix(self.right, "right", columns=columns)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of ΔW."""
        return self.left.shape[0], self.right.shape[0]

    @property
    def rank(self) -> int:
        """The number b of columns of the factors, an upper bound on the rank."""
        return self.left.shape[1]

    def factors(self) -> tuple[Tensor, Tensor]:
        """L and R as tensors of one dtype, the wider of the two."""
        left, right = as_matrix(self.left, "left"), as_matrix(self.right, "right")
        wider = torch.promote_types(left.dtype, right.dtype)
        return left.to(wider), right.to(wider)

    def dense(self) -> Any:
        """ΔW itself, (n, d), of the factors' kind."""
        left, right = self.factors()
        return like(left @ right.T, self.left)

    def norm(self) -> float:
        """‖ΔW‖_F = √tr(LᵀL·RᵀR), from two b×b products in float64."""
        left, right = (factor.double() for factor in self.factors())
        squared = ((left.T @ left) * (right.T @ right)).sum()
        return float(squared.clamp_min(0).sqrt())


def as_edit(delta: object, argument: str, *, rows: int, columns: int) -> Tensor:
    """Return an edit, given dense or as a `LowRankUpdate`, as a checked (n, d) tensor.

    Parameters
    ----------
    delta
        ΔW.
    argument
        Its name in the caller's signature.
    rows, columns
        n and d of the weights that it edits.

    Returns
    -------
    Tensor
        ΔW, dense.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        Not a finite (n, d) matrix of real floating-point numbers.
    """
    if isinstance(delta, LowRankUpdate):
        # In float64: the rounding of a float32 product would be an edit of its own.
        left, right = (factor.double() for factor in delta.factors())
        return as_matrix(left @ right.T, argument, rows=rows, columns=columns)
    return as_matrix(delta, argument, rows=rows, columns=columns)


def dense_tensor(update: LowRankUpdate | Tensor) -> Tensor:
    """ΔW as one tensor.

    Parameters
    ----------
    update
        ΔW, of tensors.

    Returns
    -------
    Tensor
        (n, d).
    """
    return update.dense() if isinstance(update, LowRankUpdate) else update


def transposed(update: LowRankUpdate | Tensor) -> LowRankUpdate | Tensor:
    """ΔWᵀ.

    Parameters
    ----------
    update
        ΔW.

    Returns
    -------
    LowRankUpdate or Tensor
        Of the kind of ΔW.
    """
    return LowRankUpdate(update.right, update.left) if isinstance(update, LowRankUpdate) else update.T


def add_update(W: Float[Tensor, "n d"], update: LowRankUpdate | Tensor) -> Float[Tensor, "n d"]:
    """W + ΔW in the dtype of W, by the one product that replays of a run repeat to the bit.

    Parameters
    ----------
    W
        Weights, (n, d).
    update
        ΔW.

    Returns
    -------
    Tensor
        A new (n, d) tensor; not checked for infinities.
    """
    if isinstance(update, LowRankUpdate):
        left, right = update.factors()
        return torch.addmm(W, left.to(W), right.to(W).T)
    return W + update.to(W)


def same_device(tensor: Tensor, model: Tensor) -> Tensor:
    """Return `tensor` in the dtype and on the device of `model`.

    Parameters
    ----------
    tensor
        What to move.
    model
        Where to.

    Returns
    -------
    Tensor
        `tensor` itself when it is there already.
    """
    return tensor.to(dtype=model.dtype, device=model.device)
