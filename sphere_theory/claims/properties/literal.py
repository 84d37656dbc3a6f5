"""The formulas of B4 to B10 written out in numpy, so that one symbol of them can be changed.

Small and literal: all pairs at once, float64. Directions are rounded to 1e-16, so that an angle of 1e-6, or
one that is 1e-6 short of π, is good to 1e-10 of itself. `rounding` and `_pull_rounding` say
what that leaves of a sum over pairs.

e(θ) = D^(−s) with D = 2 sin(θ/2); h(θ) = D^(−s−1) cos(θ/2), so that e' = −s h; at s = 0 e = −log D and the
factor s is 1.
"""

from __future__ import annotations

import math

import numpy as np

EPS = float(np.finfo(np.float64).eps)


def units(W: np.ndarray) -> np.ndarray:
    """Directions û_i, (n, d)."""
    return W / norms(W)[:, None]


def norms(W: np.ndarray) -> np.ndarray:
    """‖w_i‖, (n,)."""
    return np.linalg.norm(W, axis=1)


def angles(W: np.ndarray) -> np.ndarray:
    """θ_ij, (n, n); π on the diagonal, where nothing pulls."""
    U = units(W)
    apart = np.linalg.norm(U[:, None] - U, axis=2)
    together = np.linalg.norm(U[:, None] + U, axis=2)
    theta = 2 * np.arctan2(apart, together)
    np.fill_diagonal(theta, np.pi)
    return theta


def turns(W: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """δ_i, the angle between w_i and w_i + Δw_i, (n,)."""
    U = units(W)
    along = (U * delta).sum(axis=1)
    across = norms(delta - along[:, None] * U)
    return np.arctan2(across, norms(W) + along)


def tangents(W: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """τ_i, the unit tangent at û_i towards ŵ_i, (n, d); zero where nothing turns."""
    U = units(W)
    across = delta - (U * delta).sum(axis=1, keepdims=True) * U
    across -= (U * across).sum(axis=1, keepdims=True) * U  # what rounding left along û_i
    sizes = norms(across)[:, None]
    return across / np.where(sizes > 0, sizes, 1.0)


def reach(W: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """m_i, the distance from the origin to the segment [w_i, w_i + Δw_i], (n,)."""
    length = (delta * delta).sum(axis=1)
    nearest = np.clip(-(W * delta).sum(axis=1) / np.where(length > 0, length, 1.0), 0, 1)
    return norms(W + nearest[:, None] * delta)


def factor(s: float) -> float:
    """s, or 1 at s = 0."""
    return s or 1.0


def chord(theta: np.ndarray) -> np.ndarray:
    """D = 2 sin(θ/2), same shape."""
    return 2 * np.sin(theta / 2)


def potential(theta: np.ndarray, s: float) -> np.ndarray:
    """e(θ), same shape."""
    distance = chord(theta)
    return distance**-s if s else -np.log(distance)


def potential_at(theta: float, s: float) -> float:
    """e(θ) of one angle."""
    distance = 2 * math.sin(theta / 2)
    return distance**-s if s else -math.log(distance)


def pull(theta: np.ndarray, s: float) -> np.ndarray:
    """h(θ), same shape."""
    return chord(theta) ** (-s - 1) * np.cos(theta / 2)


def curvature(phi: np.ndarray, s: float, *, excess: float = 2.0) -> np.ndarray:
    """q(φ) = s d^(−s−2)(1 + (s + 2)cos²(φ/2)), same shape, infinite for φ ≤ 0; `excess` is the 2 of s + 2."""
    with np.errstate(divide="ignore"):
        power = chord(np.maximum(phi, 0.0)) ** (-s - 2)
    return factor(s) * power * (1 + (s + excess) * np.cos(phi / 2) ** 2)


def row_sums(values: np.ndarray) -> np.ndarray:
    """Σ_{j≠i} of an (n, n) matrix, (n,)."""
    return values.sum(axis=1, where=~np.eye(len(values), dtype=bool))


def energy(W: np.ndarray, s: float) -> float:
    """HE_s(W)."""
    return float(row_sums(potential(angles(W), s)).sum())


def forces(W: np.ndarray, s: float, *, power: float = 2.0, tangent: bool = True) -> np.ndarray:
    """G_i = ‖w_i‖ ∂_iHE = 2s Σ_{j≠i} (û_j − c_ij û_i) D_ij^(−s−2), (n, d); 2 and c_ij û_i can be changed."""
    U, theta = units(W), angles(W)
    # û_j − c û_i = (û_j − û_i) + (1 − c)û_i keeps the digits of a close pair, and 1 − c = 2 sin²(θ/2).
    share = 2 * np.sin(theta / 2) ** 2 if tangent else np.ones_like(theta)
    steps = U - U[:, None] + share[:, :, None] * U[:, None]
    pulls = chord(theta) ** (-s - power)
    np.fill_diagonal(pulls, 0.0)
    forces: np.ndarray = 2 * factor(s) * np.einsum("ij,ijd->id", pulls, steps)
    return forces


def rounding(s: float, *weights: np.ndarray) -> float:
    """Share of an HE_s, or of a gradient, that the rounding of directions may make."""
    # A direction is off by about an ulp, so a D by as much, and D^(−s−2) by s + 2 times that share of it:
    # 1e-8 where a pair is at 1e-6. Pairs down to D² = 1e-4 come out of one product of W, as if D were 1e-4.
    # Thirty-two for the sums, and for both sides.
    closest = min(float(chord(angles(W)).min()) for W in weights)
    return 32 * (s + 2) * EPS / min(closest, 1e-4)


def _pull_rounding(theta: np.ndarray, s: float) -> np.ndarray:
    """What the rounding of an angle may make of h(θ), same shape: |h'| ≤ (s + 2) D^(−s−2)."""
    # Directions give an angle to an ulp; products of W, from D² or 4 − D² = 1e-4 on, to an ulp over D or over
    # √(4 − D²).
    least = 2 * np.minimum(np.sin(theta / 2), np.abs(np.cos(theta / 2)))
    angle = EPS / np.where(least < 1e-2, 1.0, least)
    return 32 * (s + 2) * angle * chord(theta) ** (-s - 2)


def pull_share(s: float, *angles: np.ndarray) -> float:
    """Largest share of a Σ_j h(θ_ij) that the rounding of directions may make; 1 where there is no pull."""
    shares = []
    for theta in angles:
        error, pulls = row_sums(_pull_rounding(theta, s)), row_sums(pull(theta, s))
        shares.append(float((error / np.maximum(pulls, error)).max()))
    return max(shares)
