"""How many operations and bytes the operations of a stream take, as functions of their size.

A fit gives each of the two terms of a time a price, so that constant factors inside a term do not matter, and
the ratio of a term at two sizes does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Share of d that AlphaEdit's null space takes in: 0.78 on MiniLM's layer 3 at the released threshold.
_NULL_SHARE = 0.75


@dataclass(frozen=True)
class Size:
    """All that an operation's cost depends on.

    Attributes
    ----------
    n, d
        Shape of W.
    batch
        Edits a batch, b.
    rank
        Rank r of the principal space; 0 where none is taken.
    """

    n: int
    d: int
    batch: int
    rank: int = 0


def null_dimensions(d: int) -> int:
    """Dimensions of the null space that AlphaEdit is timed with.

    Parameters
    ----------
    d
        Of the keys.

    Returns
    -------
    int
        q, at least 1.
    """
    return max(1, int(_NULL_SHARE * d))


def cycle(size: int, batch: int) -> int:
    """Batches after which an editor multiplies out the thin factors of its inverse, see `normal_equations`.

    Parameters
    ----------
    size
        Of the inverse.
    batch
        Edits a batch.

    Returns
    -------
    int
        At least 1: a repetition times as many steps, and its mean is what a step costs in the long run.
    """
    return max(1, math.ceil(size / (8 * batch)))


@dataclass(frozen=True)
class Terms:
    """What an operation's time is a sum of.

    Attributes
    ----------
    flops
        Operations of matrix products: 2abc for (a × b)(b × c), half of it where the result is symmetric.
    other
        Bytes read and written beside them, or operations of decompositions.
    decomposes
        Whether `other` counts operations.
    """

    flops: float
    other: float
    decomposes: bool = False

    @property
    def operations(self) -> float:
        """All that are counted as operations."""
        return self.flops + self.other * self.decomposes


# Operations of a symmetric eigendecomposition of size m with all vectors, in m³ (Golub and Van Loan, §8.3).
_EIGH = 9


def _energy_terms(size: Size) -> Terms:
    return Terms(size.n**2 * size.d, 4 * size.n**2 + 4 * size.n * size.d)


def _update_terms(size: Size) -> Terms:
    n, d, b = size.n, size.d, size.batch
    # WR, RᵀR, L(RᵀR), W + LRᵀ, and half of a product of rank 2b; then W and G pass through memory.
    return Terms(4 * n * d * b + 2 * d * b**2 + 2 * n * b**2 + 2 * n**2 * b, 8 * n * d + 12 * n**2)


def _normal_terms(m: int, b: int) -> tuple[float, float]:
    """A⁻¹K with thin factors of up to m/8 columns, and both matrices made anew once a cycle."""
    flops = 2 * m**2 * b + 2 * 2 * m * (m / 16) * b + 2 * m**2 * b + 4 * m * b**2
    return flops, 16 * m**2 + 4 * 8 * m**2 / cycle(m, b)


def _memit_terms(size: Size) -> Terms:
    n, d, b = size.n, size.d, size.batch
    flops, passes = _normal_terms(d, b)
    return Terms(2 * n * d * b + flops, passes + 8 * d**2 + 4 * n * d)


def _alphaedit_terms(size: Size) -> Terms:
    n, d, b, q = size.n, size.d, size.batch, null_dimensions(size.d)
    flops, passes = _normal_terms(q, b)
    return Terms(2 * n * d * b + 4 * d * q * b + flops, passes + 16 * d * q + 4 * n * d)


def _projection_terms(size: Size) -> Terms:
    d, b, r = size.d, size.batch, size.rank
    return Terms(4 * d * b * r, 8 * d * r + 12 * d * b)


def _covariance_terms(size: Size) -> Terms:
    return Terms(size.n * size.d**2, _EIGH * size.d**3, decomposes=True)


def _dual_terms(size: Size) -> Terms:
    n, d, r = size.n, size.d, size.rank
    return Terms(n**2 * d + 2 * n * d * r, _EIGH * n**3, decomposes=True)


def widths(size: Size) -> list[int]:
    """Widths that the randomised route tries before it holds the rank, see `spectrum`.

    Parameters
    ----------
    size
        With the rank that it ends with.

    Returns
    -------
    list of int
        Each twice the last one, but for the last.
    """
    full = min(size.n, size.d)
    tried = [min(full, 64)]
    while tried[-1] < min(full, size.rank + 16):
        tried.append(min(full, 2 * tried[-1]))
    return tried


def _randomized_terms(size: Size) -> Terms:
    n, d, r = size.n, size.d, size.rank
    tried = widths(size)
    products = sum(16 * n * d * w + 2 * n * w**2 for w in tried) + 4 * n * d * r + 2 * d * tried[-1] * r
    # An orthonormal basis of w columns of length m takes 4mw²: three of length n, four of length d.
    return Terms(products, sum((12 * n + 16 * d) * w**2 + _EIGH * w**3 for w in tried), decomposes=True)


# Bytes held at once beside the inputs, to a factor: what grows, and how.


def _energy_bytes(size: Size) -> float:
    # As `neurons` holds them on CPU: sixteen sums of d entries a run of 512 neurons, sixteen signs a neuron.
    return 8 * 16 * size.d * math.ceil(size.n / 512) + 8 * 16 * size.n


def _update_bytes(size: Size) -> float:
    return 4 * (5 * size.n * size.batch + 2 * size.d * size.batch)


def _memit_bytes(size: Size) -> float:
    return 16 * size.d**2 + 8 * size.batch * (3 * size.d + 2 * size.n)


def _alphaedit_bytes(size: Size) -> float:
    return 16 * null_dimensions(size.d) ** 2 + 8 * size.batch * (3 * size.d + 2 * size.n)


def _projection_bytes(size: Size) -> float:
    return 4 * size.batch * (2 * size.d + size.rank)


def _covariance_bytes(size: Size) -> float:
    return 8 * 5 * size.d**2


def _dual_bytes(size: Size) -> float:
    return 8 * 5 * size.n**2 + 12 * size.d * size.rank


def _randomized_bytes(size: Size) -> float:
    return 8 * 3 * (size.n + size.d) * widths(size)[-1]


@dataclass(frozen=True, eq=False)
class Count:
    """What is expected of an operation.

    Attributes
    ----------
    terms
        What its time is a sum of.
    held_bytes
        Bytes that it holds at once beside its inputs, to a factor.
    """

    terms: Callable[[Size], Terms]
    held_bytes: Callable[[Size], float]


COUNTS: Mapping[str, Count] = {
    "energy": Count(_energy_terms, _energy_bytes),
    "energy update": Count(_update_terms, _update_bytes),
    "memit-seq": Count(_memit_terms, _memit_bytes),
    "alphaedit": Count(_alphaedit_terms, _alphaedit_bytes),
    "projection": Count(_projection_terms, _projection_bytes),
    "covariance": Count(_covariance_terms, _covariance_bytes),
    "dual": Count(_dual_terms, _dual_bytes),
    "randomized": Count(_randomized_terms, _randomized_bytes),
}
