"""What meets the neurons: inputs, projectors, batches of edits, low-rank updates."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from sphere_theory.arrays import as_count
from sphere_theory.editing.problem import EditBatch
from sphere_theory.projection import SparseProjector
from sphere_theory.samples import orthonormal
from sphere_theory.spectrum import Subspace
from sphere_theory.strategies.drawing import (
    Counts,
    Reals,
    Strategy,
    built,
    counts,
    generators,
    reals,
    storage,
)
from sphere_theory.updates import LowRankUpdate


def inputs(
    d: int, *, m: Counts | None = None, condition: Reals = 1.0, dtype: str = "float64", library: str = "numpy"
) -> Strategy:
    """Inputs X, (d, m), one per column, of a given condition number.

    With condition 1 the columns (if m ≤ d) or the rows (if m ≥ d) are orthonormal; otherwise the singular
    values fall geometrically from 1 to 1/condition. A single input is a unit vector. Shrinks to few inputs.

    Parameters
    ----------
    d
        Dimension.
    m
        Number of inputs; default 1 to d.
    condition
        Largest over smallest singular value, from 1 to an eighth of what `dtype` resolves.
    dtype, library
        As for the module.

    Returns
    -------
    SearchStrategy
        Of arrays X, (d, m).
    """
    d, store = as_count(d, "d", low=1), storage(dtype, library)

    def matrix(m: int, condition: float, rng: np.random.Generator) -> Any:
        k = min(d, m)
        left, right = orthonormal(rng, d, k), orthonormal(rng, m, k)
        # A rotation on the right would change nothing that is claimed of a partial basis.
        plain = m <= d and condition == 1
        return store(left if plain else left * np.geomspace(1, 1 / condition, k) @ right.T)

    number = counts(st.integers(1, d) if m is None else m, "m", low=1)
    ratio = reals(condition, "condition", low=1, high=1 / (8 * float(np.finfo(dtype).eps)))
    return built(matrix, number, ratio, generators("inputs"))


def projectors(
    d: int,
    *,
    r: Counts | None = None,
    alpha: Reals = st.sampled_from([0.0, 0.5, 0.8, 1.0, 2.0]),
    dtype: str = "float64",
    library: str = "numpy",
) -> st.SearchStrategy[SparseProjector]:
    """SPHERE's projectors I − αUUᵀ with a uniformly random U, (d, r). Shrinks to r = 1, α = 0.

    Parameters
    ----------
    d
        Dimension.
    r
        Dimension of the subspace; default 1 to d.
    alpha
        Suppression strength α in [0, 2].
    dtype, library
        As for the module, of U.

    Returns
    -------
    SearchStrategy
        Of projectors; `space` holds U.
    """
    d, store = as_count(d, "d", low=1), storage(dtype, library)

    def projector(r: int, alpha: float, rng: np.random.Generator) -> SparseProjector:
        return SparseProjector(Subspace(store(orthonormal(rng, d, r))), alpha)

    ranks = counts(st.integers(1, d) if r is None else r, "r", low=1, high=d)
    return built(projector, ranks, reals(alpha, "alpha", low=0, high=2), generators("bases"))


def batches(
    n: int,
    d: int,
    *,
    b: Counts | None = None,
    repeated: bool = False,
    dtype: str = "float64",
    library: str = "numpy",
) -> st.SearchStrategy[EditBatch]:
    """Batches of Gaussian keys and the values that they are to be given. Shrinks to few keys.

    Parameters
    ----------
    n, d
        Of the weights that are edited.
    b
        Number of keys; default 1 to 6.
    repeated
        Whether the last key repeats the first one, with another value: a contradictory edit, b ≥ 2.
    dtype, library
        As for the module.

    Returns
    -------
    SearchStrategy
        Of `EditBatch`.
    """
    n, d, least = as_count(n, "n", low=1), as_count(d, "d", low=1), 2 if repeated else 1
    store = storage(dtype, library)

    def batch(b: int, rng: np.random.Generator) -> EditBatch:
        keys, values = rng.normal(size=(d, b)), rng.normal(size=(n, b))
        if repeated:
            keys[:, -1] = keys[:, 0]
        return EditBatch(store(keys), store(values))

    number = counts(st.integers(least, 6) if b is None else b, "b", low=least)
    return built(batch, number, generators("batches"))


def low_rank_updates(
    n: int, d: int, *, b: Counts = st.integers(1, 4), dtype: str = "float64", library: str = "numpy"
) -> st.SearchStrategy[LowRankUpdate]:
    """Edits ΔW = L Rᵀ with Gaussian factors, L (n, b) and R (d, b). Shrinks to few columns.

    Parameters
    ----------
    n, d
        Of the weights that are edited.
    b
        Number of columns of the factors.
    dtype, library
        As for the module.

    Returns
    -------
    SearchStrategy
        Of updates.
    """
    n, d, store = as_count(n, "n", low=1), as_count(d, "d", low=1), storage(dtype, library)

    def update(b: int, rng: np.random.Generator) -> LowRankUpdate:
        return LowRankUpdate(store(rng.normal(size=(n, b))), store(rng.normal(size=(d, b))))

    return built(update, counts(b, "b", low=1), generators("updates"))
