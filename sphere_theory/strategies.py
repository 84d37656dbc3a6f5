"""Hypothesis strategies for neurons, edits, inputs, spectra and batches.

They generate seeds, shapes and *structure*, not raw floats: each example draws its numbers from a
seeded generator, so that it is reproducible from its seed and shrinks in what matters: the number of
neurons and dimensions to the smallest allowed, the structure to "ordinary", the seed to 0. Every
strategy takes ``dtype`` ("float32" or "float64") and ``library`` ("numpy" or "torch").

>>> from hypothesis import given
>>> from sphere_theory import energy, strategies
>>> @given(strategies.neuron_matrices())
... def energy_is_positive(W):
...     assert energy(W) > 0
>>> energy_is_positive()
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st

from sphere_theory.arrays import as_choice, as_matrix, as_real, like
from sphere_theory.energy import energy_gradient
from sphere_theory.errors import InputError
from sphere_theory.projection import SparseProjector
from sphere_theory.spectrum import Subspace
from sphere_theory.updates import LowRankUpdate

STRUCTURES = (
    "ordinary",
    "near-coincident",
    "simplex",
    "clustered",
    "rank-deficient",
    "extreme-scale",
    "conv1d",
)
DIRECTIONS = ("random", "tangent", "radial", "ascent", "descent", "low-rank")

Strategy = st.SearchStrategy[Any]


def _as(matrix: np.ndarray, dtype: str, library: str) -> Any:
    as_choice(dtype, "dtype", ("float32", "float64"))
    as_choice(library, "library", ("numpy", "torch"))
    array = matrix.astype(dtype, order="K")  # keeps a transposed layout transposed
    return torch.from_numpy(array) if library == "torch" else array


def _generators(stream: str) -> st.SearchStrategy[np.random.Generator]:
    # One stream a strategy: with seeds alone, weights and edits that both shrink to seed 0 would be equal.
    key = int.from_bytes(stream.encode())
    return st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng([seed, key]))


@st.composite
def neuron_matrices(
    draw: st.DrawFn,
    *,
    structures: tuple[str, ...] = STRUCTURES,
    n: st.SearchStrategy[int] = st.integers(2, 12),  # ruff: ignore[function-call-in-default-argument]  # strategies are immutable
    d: st.SearchStrategy[int] = st.integers(2, 10),
    angle: st.SearchStrategy[float] = st.sampled_from([1e-1, 1e-3, 1e-6]),
    dtype: str = "float64",
    library: str = "numpy",
) -> Any:
    """Weight matrices W, (n, d), one neuron per row, no zero row, no coincident pair.

    Structures, in the order in which they are preferred when an example shrinks:

    - "ordinary": independent Gaussian rows;
    - "near-coincident": ordinary, but the last row is the first one turned by `angle` and rescaled;
    - "simplex": a regular simplex turned at random, with n reduced to d + 1 if larger;
    - "clustered": rows within an angle of about 0.05 of one of two centres;
    - "rank-deficient": all rows in a random subspace of half the dimensions, at least two;
    - "extreme-scale": ordinary rows times powers of ten from 1e-15 to 1e15;
    - "conv1d": ordinary, stored transposed, as GPT-2 stores its weights.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    structures
        Which of them to draw from.
    n, d
        Strategies for the numbers of neurons (at least 2) and of dimensions (at least 2).
    angle
        Strategy for the angle of the near-coincident pair, radians.
    dtype
        "float64" or "float32".
    library
        "numpy" or "torch".

    Returns
    -------
    array
        W, (n, d).
    """
    for name in structures:
        as_choice(name, "structures", STRUCTURES)
    structure = draw(st.sampled_from(structures))
    rows, columns = draw(n), draw(d)
    rng = draw(_generators("neurons"))
    theta = draw(angle) if structure == "near-coincident" else 0.0
    return _as(_structured(rng, structure, rows, columns, theta), dtype, library)


def _structured(rng: np.random.Generator, structure: str, n: int, d: int, angle: float) -> np.ndarray:
    W = rng.normal(size=(n, d))
    if structure == "near-coincident":
        W[-1] = rng.uniform(0.5, 2) * _turned(rng, W[0], angle)
    elif structure == "simplex":
        W = _simplex(min(n, d + 1), d) @ _orthonormal(rng, d, d)
    elif structure == "clustered":
        centres = rng.normal(size=(2, d))
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        W = centres[rng.integers(2, size=n)] + 0.05 / np.sqrt(d) * W
    elif structure == "rank-deficient":
        k = max(2, d // 2)
        W = rng.normal(size=(n, k)) @ _orthonormal(rng, d, k).T
    elif structure == "extreme-scale":
        W = W * 10.0 ** rng.integers(-15, 16, size=(n, 1))
    elif structure == "conv1d":
        W = np.ascontiguousarray(W.T).T
    return W


def _turned(rng: np.random.Generator, w: np.ndarray, angle: float) -> np.ndarray:
    across = rng.normal(size=w.shape)
    across -= (across @ w) / (w @ w) * w
    return np.cos(angle) * w + np.sin(angle) * np.linalg.norm(w) / np.linalg.norm(across) * across


def _simplex(n: int, d: int) -> np.ndarray:
    """n ≤ d + 1 unit vectors in d dimensions at equal distances."""
    centred = np.eye(n) - 1 / n
    basis = np.linalg.svd(centred)[0][:, : n - 1]
    points = np.zeros((n, d))
    points[:, : n - 1] = basis
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _orthonormal(rng: np.random.Generator, d: int, m: int) -> np.ndarray:
    Q, R = np.linalg.qr(rng.normal(size=(d, m)))
    return Q * np.sign(np.diag(R))  # the signs make it uniform


@st.composite
def inputs(
    draw: st.DrawFn,
    d: int,
    *,
    m: st.SearchStrategy[int] | None = None,
    condition: st.SearchStrategy[float] = st.just(1.0),  # ruff: ignore[function-call-in-default-argument]  # strategies are immutable
    dtype: str = "float64",
    library: str = "numpy",
) -> Any:
    """Inputs X, (d, m), one per column, of a given condition number.

    With condition 1 the columns (if m ≤ d) or the rows (if m ≥ d) are orthonormal; otherwise the singular
    values fall geometrically from 1 to 1/condition. Shrinks to fewer inputs.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    d
        Dimension.
    m
        Strategy for the number of inputs; default 1 to d.
    condition
        Strategy for the ratio of the largest to the smallest singular value; default 1, orthonormal.
    dtype, library
        As for `neuron_matrices`.

    Returns
    -------
    array
        X, (d, m).
    """
    count = draw(st.integers(1, d) if m is None else m)
    ratio = as_real(draw(condition), "condition", low=1)
    rng = draw(_generators("inputs"))
    k = min(d, count)
    X = _orthonormal(rng, d, k) * np.geomspace(1, 1 / ratio, k) @ _orthonormal(rng, count, k).T
    # A square factor on the right would leave X orthonormal; a partial basis is plainer to read.
    return _as(X if count > d or ratio > 1 else _orthonormal(rng, d, count), dtype, library)


@st.composite
def edits(
    draw: st.DrawFn,
    W: Any,
    *,
    directions: tuple[str, ...] = DIRECTIONS,
    size: st.SearchStrategy[float] = st.sampled_from([1e-8, 1e-6, 1e-4, 1e-2, 1e-1, 1.0]),
) -> Any:
    """Edits ΔW of given weights, of a given relative size ‖ΔW‖_F/‖W‖_F.

    Directions, in the order in which they are preferred when an example shrinks:

    - "random": independent Gaussian entries;
    - "tangent": random, but each row orthogonal to its neuron;
    - "radial": each neuron lengthened, so that no direction changes;
    - "ascent", "descent": along +∇HE and −∇HE (random where the gradient vanishes);
    - "low-rank": a rank-one product, as of one MEMIT key.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    W
        Weights, (n, d), without coincident neurons.
    directions
        Which of them to draw from.
    size
        Strategy for the relative size.

    Returns
    -------
    array
        ΔW, (n, d), of the kind and dtype of W.
    """
    for name in directions:
        as_choice(name, "directions", DIRECTIONS)
    direction, relative = draw(st.sampled_from(directions)), draw(size)
    weights = as_matrix(W, "W")
    wide = weights.double().numpy()
    step = _direction(draw(_generators("edits")), wide, direction)
    step *= relative * np.linalg.norm(wide) / np.linalg.norm(step)
    return like(torch.from_numpy(step).to(weights.dtype), W)


def _direction(rng: np.random.Generator, W: np.ndarray, direction: str) -> np.ndarray:
    step = rng.normal(size=W.shape)
    norms = np.linalg.norm(W, axis=1, keepdims=True)
    if direction == "tangent" and W.shape[1] > 1:
        step -= np.sum(step * W, axis=1, keepdims=True) / norms**2 * W
    elif direction == "radial":
        step = W * rng.uniform(size=(len(W), 1))
    elif direction in ("ascent", "descent"):
        slope = energy_gradient(W) * (1 if direction == "ascent" else -1)
        # At a critical point, such as a simplex, what is left of the gradient is rounding.
        step = slope if np.linalg.norm(slope * norms) > 1e-8 * len(W) else step
    elif direction == "low-rank":
        step = rng.normal(size=(len(W), 1)) @ rng.normal(size=(1, W.shape[1]))
    return step


@st.composite
def tied_spectra(
    draw: st.DrawFn,
    *,
    d: st.SearchStrategy[int] = st.integers(2, 8),  # ruff: ignore[function-call-in-default-argument]  # strategies are immutable
    dtype: str = "float64",
    library: str = "numpy",
) -> Any:
    """Weights whose cumulative eigenvalue shares are exact multiples of 1/d: ties at η = k/d.

    W is a permutation matrix with signs, so that WᵀW = I and S_r = r/d; more rows than d repeat nothing:
    n = d. Shrinks to d = 2.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    d
        Strategy for the dimension.
    dtype, library
        As for `neuron_matrices`.

    Returns
    -------
    array
        W, (d, d).
    """
    size = draw(d)
    rng = draw(_generators("ties"))
    W = np.eye(size)[rng.permutation(size)] * rng.choice([-1.0, 1.0], size=size)
    return _as(W, dtype, library)


@st.composite
def projectors(
    draw: st.DrawFn,
    d: int,
    *,
    alpha: st.SearchStrategy[float] = st.sampled_from([0.0, 0.5, 0.8, 1.0, 2.0]),
    dtype: str = "float64",
    library: str = "numpy",
) -> SparseProjector:
    """SPHERE's projectors I − αUUᵀ with a uniformly random U, (d, r), 1 ≤ r ≤ d.

    Shrinks to r = 1, α = 0.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    d
        Dimension.
    alpha
        Strategy for α in [0, 2].
    dtype, library
        As for `neuron_matrices`.

    Returns
    -------
    SparseProjector
        The projector; its `space` holds U.
    """
    r = draw(st.integers(1, d))
    strength = draw(alpha)
    return SparseProjector(
        Subspace(_as(_orthonormal(draw(_generators("bases")), d, r), dtype, library)), strength
    )


class Batch(NamedTuple):
    """Keys and values of one batch of edits.

    Attributes
    ----------
    keys
        K, (d, b).
    values
        V, (n, b).
    """

    keys: Any
    values: Any


@st.composite
def batches(
    draw: st.DrawFn,
    n: int,
    d: int,
    *,
    b: st.SearchStrategy[int] = st.integers(1, 6),  # ruff: ignore[function-call-in-default-argument]  # strategies are immutable
    repeated: bool = False,
    dtype: str = "float64",
    library: str = "numpy",
) -> Batch:
    """Batches of keys, (d, b), and the values, (n, b), that they are to be given.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    n, d
        Of the weights that are edited.
    b
        Strategy for the batch size; shrinks to its smallest.
    repeated
        Whether the last key repeats the first one, with another value: a contradictory edit.
    dtype, library
        As for `neuron_matrices`.

    Returns
    -------
    Batch
        Keys and values.

    Raises
    ------
    InputError
        `repeated` with a batch of one.
    """
    count, rng = draw(b), draw(_generators("batches"))
    keys, values = rng.normal(size=(d, count)), rng.normal(size=(n, count))
    if repeated:
        if count < 2:
            raise InputError("repeated", "batches of at least 2 keys", f"a batch of {count}")
        keys[:, -1] = keys[:, 0]
    return Batch(_as(keys, dtype, library), _as(values, dtype, library))


@st.composite
def low_rank_updates(
    draw: st.DrawFn,
    n: int,
    d: int,
    *,
    b: st.SearchStrategy[int] = st.integers(1, 4),  # ruff: ignore[function-call-in-default-argument]  # strategies are immutable
    dtype: str = "float64",
    library: str = "numpy",
) -> LowRankUpdate:
    """Edits ΔW = L Rᵀ with Gaussian factors.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    n, d
        Of the weights that are edited.
    b
        Strategy for the number of columns of the factors.
    dtype, library
        As for `neuron_matrices`.

    Returns
    -------
    LowRankUpdate
        L, (n, b), and R, (d, b).
    """
    count, rng = draw(b), draw(_generators("updates"))
    left, right = rng.normal(size=(n, count)), rng.normal(size=(d, count))
    return LowRankUpdate(_as(left, dtype, library), _as(right, dtype, library))
