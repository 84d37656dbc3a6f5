"""Weights whose neurons have a structure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sphere_theory.errors import RangeError
from sphere_theory.samples import STRUCTURES, fits, structured
from sphere_theory.strategies.drawing import (
    Counts,
    Reals,
    Strategy,
    built,
    counts,
    generators,
    names_of,
    reals,
    storage,
)

# Powers of ten of extreme rows: products of two of them neither overflow nor vanish in that dtype.
_DECADES = {"float32": 15, "float64": 100}


def neuron_matrices(
    *,
    structures: tuple[str, ...] = STRUCTURES,
    n: Counts = st.integers(2, 12),
    d: Counts = st.integers(2, 10),
    angle: Reals = st.sampled_from([1e-1, 1e-3, 1e-6]),
    decades: Counts = 0,
    dtype: str = "float64",
    library: str = "numpy",
) -> Strategy:
    """Weight matrices W, (n, d), one neuron per row, no zero row and (almost surely) no coincident pair.

    - "ordinary": independent Gaussian rows;
    - "near-coincident": ordinary, but the last row is the first one turned by `angle` and rescaled;
    - "simplex": a regular simplex turned at random, where n ≤ d + 1;
    - "clustered": each row within an angle of 0.05 of one of two centres, at a distance of its own;
    - "rank-deficient": rows in a random subspace of min(n, d)/2 dimensions, at least two, where n, d ≥ 3;
    - "extreme-scale": each row times its own power of ten, 1e-15 to 1e15 (float64: 1e-100 to 1e100);
    - "conv1d": ordinary, stored transposed, as GPT-2 stores its weights.

    Shrinks to few neurons, then few dimensions, then the first structure that this shape can have.

    Parameters
    ----------
    structures
        Which of them, in order of preference.
    n, d
        Numbers of neurons and dimensions, at least 2 each. A shape that no structure has is not drawn.
    angle
        Angle of the near-coincident pair, radians, from 8 roundings of `dtype` to π; close to π it is a
        near-antipodal one.
    decades
        Each row is multiplied by a power of ten of its own, from 10^−decades to 10^decades; rows of
        "extreme-scale" have theirs already.
    dtype, library
        As for the module.

    Returns
    -------
    SearchStrategy
        Of arrays W, (n, d).

    Raises
    ------
    RangeError
        Also for n and d that none of the structures can have.
    """
    names, store = names_of(structures, "structures", STRUCTURES), storage(dtype, library)
    sizes = counts(n, "n", low=2), counts(d, "d", low=2)
    # Where one of them is open, what leaves most structures possible.
    neurons = 3 if isinstance(n, st.SearchStrategy) else n
    dimensions = neurons + 1 if isinstance(d, st.SearchStrategy) else d
    if not any(fits(neurons, dimensions, name) for name in structures):
        shape = ", ".join("any" if isinstance(size, st.SearchStrategy) else str(size) for size in (n, d))
        raise RangeError("structures", f"one that shape ({shape}) allows", repr(structures))

    def matrix(shape: tuple[int, int, str], angle: float, decades: int, rng: np.random.Generator) -> Any:
        W = structured(rng, *shape, angle, _DECADES[dtype])
        if decades and shape[2] != "extreme-scale":
            W *= 10.0 ** rng.integers(-decades, decades + 1, size=(len(W), 1))
        return store(W)

    shapes = st.tuples(*sizes, names).filter(lambda shape: fits(*shape))
    angles = reals(angle, "angle", low=8 * float(np.finfo(dtype).eps), high=math.pi)
    powers = counts(decades, "decades", low=0, high=_DECADES[dtype])
    return built(matrix, shapes, angles, powers, generators("neurons"))
