"""Principal space of a weight matrix: the top eigenvectors of WᵀW that hold a share η of its trace.

Three routes to the same space. The eigenvalues of WᵀW (d×d) and WWᵀ (n×n) agree but for zeros,
so the smaller of the two is decomposed: "dual" (n×n, never an array of d×d numbers) or
"covariance" (d×d). "randomized" looks at a few more directions than η needs and says how far off it
may be; it pays where the spectrum decays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import (
    Array,
    as_choice,
    as_count,
    as_matrix,
    as_real,
    full_precision,
    like,
)
from sphere_theory.errors import DTypeError, RangeError, ShapeError
from sphere_theory.gram import gram_matrix
from sphere_theory.neurons import NORM_LIMIT, as_neurons

# Shares within this relative distance of η are ties.
TIE = 1e-12

# Directions that the randomised route looks at beyond those it returns.
_OVERSAMPLE = 16
_POWER_STEPS = 3

# λ_1/λ_r up to which the dual route's columns are orthonormal to 1e-12 as they are.
_WELL_SPREAD = 1e3


@dataclass(frozen=True)
class Subspace:
    """A subspace of the space of inputs.

    Attributes
    ----------
    basis
        U, (d, r), orthonormal columns.
    """

    basis: Any

    @property
    def rank(self) -> int:
        """The dimension r."""
        return self.basis.shape[1]


def basis_of(space: object, argument: str) -> Float[Tensor, "d r"]:
    """The basis of a space, checked.

    Parameters
    ----------
    space
        A `Subspace`.
    argument
        Its name in the caller's signature.

    Returns
    -------
    Tensor
        U, (d, r).

    Raises
    ------
    DTypeError
        Not a `Subspace`.
    ShapeError, NonFiniteError
        A basis that is not a finite matrix.
    """
    if not isinstance(space, Subspace):
        raise DTypeError(argument, "a Subspace, such as principal_space returns", repr(space))
    return as_matrix(space.basis, f"{argument}.basis")


@dataclass(frozen=True)
class PrincipalSpace(Subspace):
    """The top-r eigenvectors of WᵀW, with everything that decided r.

    Attributes
    ----------
    basis
        U, (d, r), columns in order of falling eigenvalue.
    eigenvalues
        The r largest eigenvalues of WᵀW (of the row-normalised W for rows="unit"), (r,), float64.
    share
        Their sum over the trace.
    eta, rows, rank_rule, method
        As asked for; `method` names the route taken.
    angle_error
        A-posteriori estimate of the sine of the largest angle between `basis` and the exact space:
        ‖WᵀWU − UΛ‖ over the gap λ_r − λ_{r+1} (Davis and Kahan), at most 1. The exact routes
        put their rounding error for the residual. 1 means that λ_r and λ_{r+1} are not told apart, so
        that the space itself is not unique.
    """

    eigenvalues: Any
    share: float
    eta: float
    rows: str
    rank_rule: str
    method: str
    angle_error: float


@full_precision()
def principal_space(
    W: Array,
    *,
    eta: float = 0.5,
    rows: str = "raw",
    rank_rule: str = "paper",
    method: str = "auto",
    seed: int = 0,
) -> PrincipalSpace:
    """Principal directions of the weights, as SPHERE projects them out.

    With eigenvalues λ_1 ≥ λ_2 ≥ … of WᵀW and shares S_r = Σ_{k≤r} λ_k / Σ_k λ_k (in float64), the rank is

    - "paper": the smallest r with S_r ≥ η (SPHERE, arXiv 2510.01172, §4);
    - "released": the number of shares ≤ η, plus one (the authors' code). It differs from "paper" at ties
      alone. At η = 1 it asks for one direction more than there are, and gets all that W determines.

    Shares within a relative 1e-12 of η count as equal to it.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch, float16 to float64.
    eta
        Cumulative share η in (0, 1]. Default 0.5, the paper's.
    rows
        "raw": W as it is (the paper); "unit": every row divided by its norm (the released code).
    rank_rule
        "paper" or "released".
    method
        "dual": decompose WWᵀ; "covariance": decompose WᵀW; "auto": the smaller of the two;
        "randomized": range finder with power steps, enlarged until it holds the share η. Its
        eigenvalues bound the true ones from below, so its "paper" rank is never too small.
    seed
        Seed of the randomised route; the others ignore it.

    Returns
    -------
    PrincipalSpace
        Basis (d, r) of the kind and dtype of W, eigenvalues, rank, share, and an error estimate.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        Not a finite, non-empty matrix of real floating-point numbers.
    RangeError
        η outside (0, 1], an unknown name, or W = 0.
    ZeroRowError
        rows="unit" and a row is zero.
    """
    eta = as_real(eta, "eta", low=0, high=1, low_open=True)
    as_choice(rows, "rows", ("raw", "unit"))
    as_choice(rank_rule, "rank_rule", ("paper", "released"))
    as_choice(method, "method", ("auto", "dual", "covariance", "randomized"))
    as_count(seed, "seed", low=0, high=2**63 - 1)
    matrix, exponent = _matrix(W, rows)
    if method == "auto":
        method = "dual" if matrix.shape[0] <= matrix.shape[1] else "covariance"
    randomized = method == "randomized"
    spectrum = _randomized(matrix, eta, rank_rule, seed) if randomized else _exact(matrix, method)
    rank, share = select_rank(spectrum.values, spectrum.trace, eta, rank_rule)
    rank = min(rank, spectrum.determined)
    basis = spectrum.vectors(rank).to(matrix.dtype)
    return PrincipalSpace(
        basis=like(basis, W),
        eigenvalues=like(torch.ldexp(spectrum.values[:rank], torch.tensor(2 * exponent)), W),
        share=share,
        eta=eta,
        rows=rows,
        rank_rule=rank_rule,
        method=method,
        angle_error=_angle_error(spectrum, rank),
    )


def _matrix(W: Array, rows: str) -> tuple[Float[Tensor, "n d"], int]:
    """The matrix to decompose, scaled by a power of two if its squares would not fit float64."""
    if rows == "unit":
        neurons = as_neurons(W)
        return (neurons.rows / neurons.norms[:, None]).to(neurons.rows.dtype), 0
    matrix = as_matrix(W, "W")
    peak = float(torch.linalg.vector_norm(matrix, ord=torch.inf))
    if peak == 0:
        raise RangeError("W", "a matrix that is not zero", f"zeros of shape {tuple(matrix.shape)}")
    exponent = int(torch.frexp(torch.tensor(peak, dtype=torch.float64)).exponent)
    if 1 / NORM_LIMIT[matrix.dtype] < peak < NORM_LIMIT[matrix.dtype]:
        return matrix, 0
    half = torch.tensor(exponent // 2)
    return torch.ldexp(torch.ldexp(matrix, -half), half - exponent), exponent


def select_rank(values: Float[Tensor, " k"], trace: float, eta: float, rank_rule: str) -> tuple[int, float]:
    """Rank that a rule gives for a spectrum, and the share that it holds.

    Parameters
    ----------
    values
        Eigenvalues in falling order, float64: all of them, or enough to hold the share η.
    trace
        Sum of all eigenvalues.
    eta
        Cumulative share.
    rank_rule
        "paper" or "released".

    Returns
    -------
    rank
        r, between 1 and the number of values.
    share
        S_r.
    """
    shares = values.cumsum(0) / trace
    if rank_rule == "paper":
        rank = int((shares < eta * (1 - TIE)).sum()) + 1
    else:
        rank = int((shares <= eta * (1 + TIE)).sum()) + 1
    rank = min(rank, len(values))
    return rank, min(1.0, float(shares[rank - 1]))


@dataclass(frozen=True)
class _Spectrum:
    """Eigenvalues in falling order, and how to get the first r eigenvectors of WᵀW from them."""

    matrix: Float[Tensor, "n d"]
    values: Float[Tensor, " k"]
    coordinates: Float[Tensor, "m k"]
    frame: str | Tensor  # "left": coordinates of WWᵀ; "right": of WᵀW; a matrix: in its columns
    trace: float
    determined: int  # directions that W determines: eigenvalues above rounding
    residual: float  # norm of WᵀWU − UΛ

    def vectors(self, rank: int) -> Float[Tensor, "d r"]:
        top = self.coordinates[:, :rank]
        if isinstance(self.frame, Tensor):
            return self.frame @ top
        if self.frame == "right":
            return top.clone()  # a view would keep all d columns alive
        scaled = top / self.values[:rank].sqrt()
        basis = torch.cat([block.double().T @ scaled for block in self.matrix.split(1024, dim=1)])
        # The division magnifies rounding by λ_1/λ_r; the span stays right, the columns' angles do not.
        spread = float(self.values[0] / self.values[rank - 1])
        return basis if spread < _WELL_SPREAD else torch.linalg.qr(basis).Q


def _exact(matrix: Float[Tensor, "n d"], method: str) -> _Spectrum:
    gram = gram_matrix(matrix if method == "dual" else matrix.T)
    values, vectors = torch.linalg.eigh(gram)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    rounding = torch.finfo(torch.float64).eps * max(matrix.shape) * float(values[0])
    return _Spectrum(
        matrix=matrix,
        values=values,
        coordinates=vectors,
        frame="left" if method == "dual" else "right",
        trace=float(values.sum()),
        determined=int((values > rounding).sum()),
        residual=rounding,
    )


def _randomized(matrix: Float[Tensor, "n d"], eta: float, rank_rule: str, seed: int) -> _Spectrum:
    """Range finder with power steps (Halko, Martinsson, Tropp 2011), doubled until η is held."""
    generator = torch.Generator().manual_seed(seed)
    trace = float(torch.linalg.vector_norm(matrix, dtype=torch.float64)) ** 2
    full = min(matrix.shape)
    width = min(full, 4 * _OVERSAMPLE)
    while True:
        start = torch.randn((len(matrix), width), generator=generator, dtype=torch.float64).to(matrix)
        frame = _range(matrix, start)
        image = (matrix @ frame).double()
        values, vectors = torch.linalg.eigh(image.T @ image)
        values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
        rank, share = select_rank(values, trace, eta, rank_rule)
        held = share >= eta * (1 - TIE) and rank <= width - _OVERSAMPLE
        if held or width == full:
            break
        width = min(full, 2 * width)
    top = frame.double() @ vectors[:, :rank]
    back = (matrix.T @ (matrix @ top.to(matrix))).double()
    residual = float(torch.linalg.vector_norm(back - top * values[:rank]))
    rounding = torch.finfo(matrix.dtype).eps * float(values[0])
    determined = int((values > rounding * max(matrix.shape)).sum())
    return _Spectrum(matrix, values, vectors, frame.double(), trace, determined, residual)


def _range(matrix: Float[Tensor, "n d"], start: Float[Tensor, "n k"]) -> Float[Tensor, "d k"]:
    frame = torch.linalg.qr(matrix.T @ start).Q
    for _ in range(_POWER_STEPS):
        frame = torch.linalg.qr(matrix.T @ torch.linalg.qr(matrix @ frame).Q).Q
    return frame


def _angle_error(spectrum: _Spectrum, rank: int) -> float:
    following = float(spectrum.values[rank]) if rank < len(spectrum.values) else 0.0
    gap = float(spectrum.values[rank - 1]) - following
    return min(1.0, spectrum.residual / gap) if gap > 0 else 1.0


@full_precision()
def bottom_space(W: Array, rank: int, *, rows: str = "raw") -> Subspace:
    """The r least principal directions of the space that the neurons span: a control.

    The eigenvectors of WᵀW with the smallest non-zero eigenvalues. Directions that no neuron has a
    component along are left out: where n < d they are arbitrary.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row.
    rank
        r, between 1 and the rank of W.
    rows
        "raw" or "unit", as in `principal_space`.

    Returns
    -------
    Subspace
        Basis (d, r) of the kind and dtype of W, by rising eigenvalue.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError
        As for `principal_space`.
    RangeError
        `rank` outside its interval, an unknown `rows`, or W = 0.
    """
    as_choice(rows, "rows", ("raw", "unit"))
    matrix, _ = _matrix(W, rows)
    spectrum = _exact(matrix, "dual" if matrix.shape[0] <= matrix.shape[1] else "covariance")
    rank = as_count(rank, "rank", low=1, high=spectrum.determined)
    vectors = spectrum.vectors(spectrum.determined)[:, -rank:].flip(1)
    return Subspace(like(vectors.to(matrix.dtype), W))


def random_space(like_space: Subspace, *, seed: int) -> Subspace:
    """A uniformly random subspace of the same dimensions: a control.

    Parameters
    ----------
    like_space
        The space whose d, r, kind and dtype to take.
    seed
        Seed of the draw.

    Returns
    -------
    Subspace
        Basis (d, r), distributed by the Haar measure.

    Raises
    ------
    ShapeError
        `like_space.basis` is not a matrix, or has more columns than rows.
    DTypeError, NonFiniteError
        Not a space; or its entries are not real floating-point numbers, or not finite.
    RangeError
        `seed` is not a non-negative integer.
    """
    basis = basis_of(like_space, "like_space")
    if basis.shape[1] > basis.shape[0]:
        raise ShapeError("like_space.basis", "at most as many columns as rows", f"shape {tuple(basis.shape)}")
    generator = torch.Generator().manual_seed(as_count(seed, "seed", low=0, high=2**63 - 1))
    gauss = torch.randn(tuple(basis.shape), generator=generator, dtype=torch.float64)
    return Subspace(like(torch.linalg.qr(gauss).Q.to(basis), like_space.basis))
