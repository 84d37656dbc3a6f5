"""Inputs X of Theorem 1: how far from orthonormal they are, and how strongly they see an edit."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import frobenius

_EPS = torch.finfo(torch.float64).eps


def orthonormality_error(X: Float[Tensor, "d m"]) -> float:
    """‖XᵀX − I‖₂.

    Parameters
    ----------
    X
        One input per column, float64.

    Returns
    -------
    float
        From the smaller of the two Gram matrices; at least 1 for more inputs than dimensions, where XᵀX is
        singular.
    """
    d, m = X.shape
    if m <= d:
        return float((torch.linalg.eigvalsh(X.T @ X) - 1).abs().max())
    from scipy.sparse.linalg import eigsh

    # Only the largest eigenvalue counts: Lanczos finds it in a few products.
    (largest,) = (
        eigsh((X @ X.T).cpu().numpy(), k=1, v0=np.ones(d), return_eigenvectors=False)
        if d > 1
        else (float(X.square().sum()),)
    )
    return max(1.0, float(largest) - 1)


def input_strength(edit: Float[Tensor, "n d"], X: Float[Tensor, "d m"]) -> float:
    """σ with ‖ΔW X‖_F ≥ σ‖ΔW‖_F: the square root of the least eigenvalue of XXᵀ on the row space of ΔW.

    Rounded down by what float64 can be wrong: ΔW is its part on a computed basis Q of its row space and a
    rest, so that ‖ΔW X‖ ≥ σ_min(QᵀX)‖ΔW Q‖ − ‖rest‖‖X‖. An ill-conditioned X, or rows of very different
    lengths, cost digits there, and never make σ too large.

    Parameters
    ----------
    edit
        ΔW, (n, d), float64.
    X
        One input per column, float64.

    Returns
    -------
    float
        0 where the inputs do not see all of the row space, or see it no better than their rounding; nan for
        ΔW = 0.
    """
    size = frobenius(edit)
    if size == 0:
        return float("nan")
    basis, triangle = torch.linalg.qr((edit / size).T)
    left, values, _ = torch.linalg.svd(triangle, full_matrices=False)
    rank = int((values > values[0] * _EPS * max(edit.shape)).sum())
    if X.shape[1] < rank:
        return 0.0
    seen = (basis @ left[:, :rank]).T @ X
    least = float(torch.linalg.svdvals(torch.linalg.qr(seen.T, mode="r").R)[-1])
    kept, rest = frobenius(values[:rank]), frobenius(values[rank:])
    rounding = (max(*X.shape, *edit.shape) + 32) * _EPS
    return max(0.0, least * min(1.0, kept) - (rest + rounding) * frobenius(X))
