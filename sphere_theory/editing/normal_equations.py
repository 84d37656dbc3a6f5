"""Normal equations that are solved once and then kept current: A ← A + KKᵀ.

Most closed-form editors solve with one matrix A = A_0 + Σ K_iK_iᵀ, the sum over all batches so far. Its
inverse C follows from the last one by Woodbury's identity at O(d²b) instead of O(d³) a batch:

    Y = CK,  S = I + KᵀY,  C ← C − Y S⁻¹ Yᵀ,  and the new A⁻¹K = Y S⁻¹.

What a batch adds is first kept as thin factors, C = C_0 − HHᵀ, and multiplied out once there are d/8 columns
of them: writing d² new numbers costs more than multiplying with a few more columns.

Rounding gathers in C, so the equations themselves are watched: when A·(A⁻¹K) is no longer K, A is
factorised afresh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import full_precision
from sphere_theory.editing.problem import LayerMemory, State, wide_product
from sphere_theory.errors import SingularError
from sphere_theory.gram import add_symmetric

# Relative residual of the normal equations at which A is factorised afresh.
TOLERANCE = 1e-7


@dataclass(frozen=True, eq=False)
class Solution:
    """A⁻¹K of one batch, and what was needed for it.

    Attributes
    ----------
    right
        A⁻¹K with the batch's own keys in A, (d, b).
    state
        C = A⁻¹ as "inverse", (d, d), less HHᵀ of "inverse_recent" H; Σ K_iK_iᵀ as "past", (d, d), plus that
        of the keys in "past_recent"; all float64 and this batch included, and left out while empty.
        "factorisations", how often A was factorised afresh after the first.
    """

    right: Float[Tensor, "d b"]
    state: State


@full_precision()
def inverse(A: Float[Tensor, "d d"], memory: LayerMemory, remedy: str) -> Float[Tensor, "d d"]:
    """A⁻¹ of a symmetric positive definite matrix, checked to have one.

    Parameters
    ----------
    A
        λC0 plus whatever is added to it, float64.
    memory
        Whose second moment it is, for the message.
    remedy
        Name of the argument that would make it regular.

    Returns
    -------
    Tensor
        A⁻¹, symmetric, float64.

    Raises
    ------
    SingularError
        A is singular to the precision in which C0 is stored; the message states its rank, the number of
        samples and a ridge to pass.
    """
    found = _cholesky_inverse(A)
    if found is None or 1 / _largest_eigenvalue(found) <= _noise(A, memory):
        raise SingularError("memory.second_moment", *_what_is_singular(A, memory, remedy))
    return found


def _cholesky_inverse(A: Float[Tensor, "d d"]) -> Float[Tensor, "d d"] | None:
    factor, info = torch.linalg.cholesky_ex(A)
    return None if int(info) else torch.cholesky_inverse(factor)


def _noise(A: Float[Tensor, "d d"], memory: LayerMemory) -> float:
    """Size of an eigenvalue that rounding alone may give a singular matrix."""
    # Rounding of the stored entries is a random symmetric matrix, of spectral norm about 2/√d of its
    # Frobenius norm; the factorisation itself rounds to d·ε of the largest eigenvalue.
    wide = memory.second_moment is None
    stored = torch.finfo(torch.float64 if wide else memory.stored_moment().dtype).eps
    size, d = float(torch.linalg.vector_norm(A)), len(A)
    return max(stored * size / math.sqrt(d), d * torch.finfo(torch.float64).eps * size)


def _largest_eigenvalue(A: Float[Tensor, "d d"], steps: int = 12) -> float:
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(len(A), generator=generator, dtype=torch.float64).to(A.device)
    for _ in range(steps):
        vector = A @ (vector / torch.linalg.vector_norm(vector))
    return float(torch.linalg.vector_norm(vector))


def _what_is_singular(A: Float[Tensor, "d d"], memory: LayerMemory, remedy: str) -> tuple[str, str]:
    """What an error says was expected, and what was got."""
    values, noise = torch.linalg.eigvalsh(A), _noise(A, memory)
    rank, d = int((values > noise).sum()), len(A)
    samples = "an unknown number of" if memory.samples is None else str(memory.samples)
    ridge = 1e-4 * float(A.diagonal().mean()) or 1.0
    expected = f"a matrix of rank {d}, or {remedy}={ridge:.1g} beside it"
    return expected, f"rank {rank} from {samples} samples"


@dataclass(frozen=True, eq=False)
class _Sum:
    """A symmetric matrix B ± XXᵀ of which the thin part is multiplied out now and then."""

    whole: Float[Tensor, "d d"] | None
    recent: Float[Tensor, "d h"] | None
    sign: int

    @classmethod
    def remembered(cls, state: State, name: str, sign: int) -> _Sum:
        return cls(state.get(name), state.get(f"{name}_recent"), sign)

    def state(self, name: str) -> State:
        parts = {name: self.whole, f"{name}_recent": self.recent}
        return {key: tensor for key, tensor in parts.items() if tensor is not None}

    def times(self, x: Tensor) -> Tensor:
        image = torch.zeros_like(x) if self.whole is None else self.whole @ x
        if self.recent is None:
            return image
        return torch.add(image, self.recent @ (self.recent.T @ x), alpha=self.sign)

    def plus(self, X: Float[Tensor, "d b"]) -> _Sum:
        recent = X if self.recent is None else torch.cat([self.recent, X], dim=1)
        larger = _Sum(self.whole, recent, self.sign)
        return _Sum(larger.dense(), None, self.sign) if 8 * recent.shape[1] >= len(X) else larger

    def dense(self) -> Float[Tensor, "d d"]:
        """All of it; a new array where there is a thin part."""
        X = self.recent
        if X is None:
            assert self.whole is not None  # a sum of nothing is never made
            return self.whole
        A = X.new_zeros((len(X), len(X))) if self.whole is None else self.whole.clone()
        return add_symmetric(A, X, X, alpha=self.sign)


def _updated(inverse: _Sum, K: Float[Tensor, "d b"]) -> tuple[Tensor, _Sum] | None:
    """Woodbury's step: A⁻¹K and A⁻¹ with K in A; None if rounding has cost C its definiteness."""
    Y = inverse.times(K)
    S = K.T @ Y
    S = (S + S.T) / 2
    S.diagonal().add_(1)
    factor, info = torch.linalg.cholesky_ex(S)
    if int(info):
        return None
    half = torch.linalg.solve_triangular(factor, Y.T, upper=False)
    right = torch.linalg.solve_triangular(factor.T, half, upper=True).T
    return right, inverse.plus(half.T)


@dataclass(frozen=True, eq=False)
class Penalty:
    """A_0 = λC0 + λ_n I, what an editor asks of directions that no edit has used.

    Attributes
    ----------
    memory
        The layer, whose second moment is C0.
    ridge
        λ; 0 leaves C0 out.
    damping
        λ_n.
    remedy
        Name of the argument that would make A_0 regular.
    """

    memory: LayerMemory
    ridge: float
    damping: float
    remedy: str = "damping"

    @full_precision()
    def dense(self, size: int) -> Float[Tensor, "d d"]:
        """A_0 itself.

        Parameters
        ----------
        size
            d.

        Returns
        -------
        Tensor
            (d, d), float64; a new array.
        """
        A = torch.zeros((size, size), dtype=torch.float64, device=self.memory.W.device)
        if self.ridge:
            A.add_(self.memory.moment(), alpha=self.ridge)
        A.diagonal().add_(self.damping)
        return A

    @full_precision()
    def times(self, x: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
        """A_0 x, without forming A_0.

        Parameters
        ----------
        x
            A vector.

        Returns
        -------
        Tensor
            The product.
        """
        image = self.damping * x
        if self.ridge:
            image += self.ridge * wide_product(self.memory.stored_moment(), x[:, None])[:, 0]
        return image

    def inverse(self, size: int) -> Float[Tensor, "d d"]:
        """A_0⁻¹, as `inverse` checks it.

        Parameters
        ----------
        size
            d.

        Returns
        -------
        Tensor
            (d, d), float64.

        Raises
        ------
        SingularError
            A_0 is singular.
        """
        return inverse(self.dense(size), self.memory, self.remedy)


def fixed_inverse(penalty: Penalty, size: int) -> Float[Tensor, "d d"]:
    """The inverse that the last batch left, or A_0⁻¹ for the first.

    Parameters
    ----------
    penalty
        A_0.
    size
        d.

    Returns
    -------
    Tensor
        (d, d), float64.

    Raises
    ------
    SingularError
        A_0 is singular.
    """
    return penalty.memory.remembered("inverse", lambda: penalty.inverse(size))


@full_precision()
def remembered_solution(penalty: Penalty, K: Float[Tensor, "d b"]) -> Solution:
    """A⁻¹K for A = A_0 + Σ KKᵀ over all batches so far and this one.

    Parameters
    ----------
    penalty
        A_0; its layer's state holds what earlier batches left.
    K
        Keys of the batch, (d, b), float64.

    Returns
    -------
    Solution
        With the state to carry on.

    Raises
    ------
    SingularError
        A_0 is singular, or A has become so to float64.
    """
    state = penalty.memory.state
    past = _Sum.remembered(state, "past", 1).plus(K)
    before = _Sum(fixed_inverse(penalty, len(K)), state.get("inverse_recent"), -1)
    counted = penalty.memory.remembered("factorisations", lambda: torch.zeros((), dtype=torch.int64))
    found = _updated(before, K)
    if found is None or _residual(penalty, past, found[0], K) > TOLERANCE:
        A = penalty.dense(len(K)).add_(past.dense())
        after = _cholesky_inverse(A)
        if after is None:
            raise SingularError("memory.second_moment", *_what_is_singular(A, penalty.memory, penalty.remedy))
        found, counted = (after @ K, _Sum(after, None, -1)), counted + 1
    right, later = found
    return Solution(right, {**later.state("inverse"), **past.state("past"), "factorisations": counted})


@full_precision()
def forgetful_solution(penalty: Penalty, K: Float[Tensor, "d b"]) -> Solution:
    """(A_0 + KKᵀ)⁻¹K, which remembers no earlier batch.

    Parameters
    ----------
    penalty
        A_0; its layer's state holds A_0⁻¹ after the first batch.
    K
        Keys of the batch, (d, b), float64.

    Returns
    -------
    Solution
        State: "inverse", A_0⁻¹.

    Raises
    ------
    SingularError
        A_0 is singular.
    """
    fixed = fixed_inverse(penalty, len(K))
    Y = fixed @ K
    S = torch.eye(K.shape[1], dtype=K.dtype, device=K.device) + K.T @ Y
    return Solution(torch.linalg.solve(S, Y, left=False), {"inverse": fixed})


def _residual(penalty: Penalty, past: _Sum, right: Tensor, K: Tensor) -> float:
    """‖A·(A⁻¹K)z − Kz‖/‖K‖ for one z of alternating signs: O(d²)."""
    signs = torch.ones(K.shape[1], dtype=K.dtype, device=K.device)
    signs[1::2] = -1
    x = right @ signs
    size = float(torch.linalg.vector_norm(K))  # not of Kz, which may cancel
    error = float(torch.linalg.vector_norm(penalty.times(x) + past.times(x) - K @ signs))
    return error / size if size else error
