"""Squared distances and tangents of named pairs of neurons, accurate however close the two are.

D² = 2 − 2c loses all digits of a small D, while the difference of two directions keeps them.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphere_theory.neurons import CHUNK, Neurons

# Squared distances below this are near the rounding error of the recomputation itself, 2^−212.
_SUSPECT = 2.0**-180


def pair_squares(neurons: Neurons, pairs: Int[Tensor, "k 2"], *, sign: int = 1) -> Float[Tensor, " k"]:
    """Squared distances of named pairs, accurate however close the two neurons are.

    Parameters
    ----------
    neurons
        All neurons.
    pairs
        Indices (i, j), (k, 2).
    sign
        1 for ‖û_i − û_j‖²; −1 for ‖û_i + û_j‖² = 4 − D_ij².

    Returns
    -------
    Tensor
        D_ij², float64, relative error around 1e-15; exactly 0 for the first coincident pair found.
    """
    chunks = pairs.split(max(1, CHUNK // neurons.rows.shape[1]))
    squared = torch.cat([_residual(neurons, chunk, sign)[1] for chunk in chunks])
    for k in ((squared > 0) & (squared < _SUSPECT)).nonzero().flatten().tolist():
        squared[k] = _exact_square(*(neurons.rows[i].tolist() for i in pairs[k].tolist()))
        if squared[k] == 0:  # one is enough: the energy is infinite whatever the others are
            break
    return squared


def pair_tangents(
    neurons: Neurons, pairs: Int[Tensor, "k 2"], *, sign: int = 1
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Tangents û_j − c_ij û_i at û_i, and squared distances, of named pairs, without cancellation.

    Parameters
    ----------
    neurons
        All neurons.
    pairs
        Indices (i, j), (k, 2).
    sign
        1 for nearly coincident pairs, −1 for nearly opposite ones.

    Returns
    -------
    tangents
        (k, d), float64.
    squared
        ‖û_i − sign·û_j‖², (k,), float64.
    """
    residual, squared = _residual(neurons, pairs, sign)
    i, j = pairs.T
    units = neurons.rows[i].double() / neurons.norms[i, None]
    along = (residual * units).sum(dim=1, keepdim=True)
    return sign * (along * units - residual) / neurons.norms[j, None], squared


def _residual(
    neurons: Neurons, pairs: Int[Tensor, "k 2"], sign: int = 1
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Residual r = ρ w_i ∓ w_j with ρ = ‖w_j‖/‖w_i‖, and D², both accurate relative to their own size."""
    i, j = pairs.T
    a, b = neurons.rows[i].double(), sign * neurons.rows[j].double()
    norm = neurons.norms[j]
    ratio = (norm / neurons.norms[i])[:, None]
    product = ratio * a
    # The rounding of the product ρ w_i is added back: no digit of a small difference is lost.
    residual = (product - b) + _product_error(ratio, a, product)
    direction = b / norm[:, None]
    across = residual - (residual * direction).sum(dim=1, keepdim=True) * direction
    sine = across.square().sum(dim=1) / norm.square()  # sin²θ, of the part orthogonal to w_j
    apart = residual.square().sum(dim=1) / norm.square()
    # D² = 2 − 2cos θ = 2sin²θ/(1 + cos θ); beyond a right angle ‖r‖² itself has lost nothing.
    squared = torch.where(apart < 1, 2 * sine / (1 + (1 - sine).clamp_min(0).sqrt()), apart)
    # Zero is kept for equal directions: what is left of a nonzero residual is at least tiny.
    tiny = torch.finfo(torch.float64).tiny
    return residual, torch.where(residual.any(dim=1), squared.clamp_min(tiny), 0.0)


def _product_error(x: Tensor, y: Tensor, product: Tensor) -> Tensor:
    """The exact x·y − fl(x·y) in float64 (Dekker 1971, by Veltkamp's splitting)."""
    (x_high, x_low), (y_high, y_low) = _split(x), _split(y)
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    scaled = x * (2.0**27 + 1)
    high = scaled - (scaled - x)
    return high, x - high


def _exact_square(a: list[float], b: list[float]) -> float:
    """D² = 2 sin²θ/(1 + cos θ) of two vectors at a tiny angle, where 1 + cos θ is 2, by rationals."""
    x, y = [Fraction(v) for v in a], [Fraction(v) for v in b]
    xx, yy = sum(v * v for v in x), sum(v * v for v in y)
    xy = sum(v * w for v, w in zip(x, y, strict=True))
    return float((xx * yy - xy * xy) / (xx * yy))
