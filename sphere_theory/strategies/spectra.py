"""Spectra that are tied at a chosen share, and weights that have them exactly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sphere_theory.arrays import as_real
from sphere_theory.errors import InputError, RangeError
from sphere_theory.samples import hadamard
from sphere_theory.strategies.drawing import (
    Counts,
    Strategy,
    built,
    checked,
    counts,
    generators,
    names_of,
    storage,
)

SHAPES = ("square", "wide", "tall")

# Most eigenvalues of a spectrum that is tied at a chosen share.
_TIED = 16


def tied_eigenvalues(eta: float) -> st.SearchStrategy[tuple[float, ...]]:
    """Spectra λ_1 ≥ … ≥ λ_k of which the first few hold exactly the share η, as floats compute shares.

    All equal, or of two values with the tie where they meet. They are squares of small integers, so their
    sums are exact and S_r = η in floats. Shrinks to the fewest eigenvalues; at most 16.

    Parameters
    ----------
    eta
        Share η = p/q with integers 0 < p < q ≤ 16, as a float.

    Returns
    -------
    SearchStrategy
        Of tuples of eigenvalues in falling order, for `tied_spectra`.

    Raises
    ------
    RangeError
        η is not such a fraction.
    """
    share = Fraction(as_real(eta, "eta", low=0, high=1)).limit_denominator(_TIED)
    if float(share) != eta or share in (0, 1):
        raise RangeError("eta", f"a fraction p/q with 0 < p < q ≤ {_TIED}", repr(eta))
    spectra = set()
    for high, low in ((1, 1), (4, 1), (9, 1), (16, 1), (9, 4), (16, 9)):
        # p·low values `high` and (q − p)·high values `low` have sums in the ratio p : q − p.
        ratio = Fraction(share.numerator * low, (share.denominator - share.numerator) * high)
        for times in range(1, _TIED // (ratio.numerator + ratio.denominator) + 1):
            first, rest = times * ratio.numerator, times * ratio.denominator
            spectra.add((float(high),) * first + (float(low),) * rest)
    return st.sampled_from(sorted(spectra, key=lambda values: (len(values), values)))


def tied_spectra(
    *,
    eigenvalues: Sequence[float] | st.SearchStrategy[Any] | None = None,
    d: Counts | None = None,
    shapes: tuple[str, ...] = ("square",),
    dtype: str = "float64",
    library: str = "numpy",
) -> Strategy:
    """Weights W whose WᵀW or WWᵀ, the smaller of the two, is exactly diagonal, with chosen eigenvalues.

    Exactly in floats too, where the eigenvalues are squares of numbers of few digits (1, 4, 1/4, …). With k
    of them W is

    - "square": a k×k permutation matrix with signs, times √λ;
    - "tall": n = 4⌊k/2⌋ > d = k, two or three columns ±½√λ to every four rows, as in a Hadamard matrix;
    - "wide": n = k < d, the transpose of such a one.

    Neurons and dimensions are in random order, no two neurons coincide. By default the eigenvalues are d
    ones, so that S_r = r/d. Shrinks to few eigenvalues and the first shape.

    Parameters
    ----------
    eigenvalues
        At least two positive numbers, such as `tied_eigenvalues` gives; equal ones are ties.
    d
        Instead of `eigenvalues`, how many ones; default 2 to 8.
    shapes
        Which of them, in order of preference.
    dtype, library
        As for the module.

    Returns
    -------
    SearchStrategy
        Of arrays W.

    Raises
    ------
    InputError
        Both `eigenvalues` and `d`.
    """
    if eigenvalues is not None and d is not None:
        raise InputError("d", "None where the eigenvalues are given", repr(d))
    sizes = counts(st.integers(2, 8) if d is None else d, "d", low=2)
    spectra = sizes.map(np.ones) if eigenvalues is None else checked(eigenvalues, _spectrum)
    store = storage(dtype, library)

    def matrix(values: np.ndarray, shape: str, rng: np.random.Generator) -> Any:
        columns = np.eye(len(values)) if shape == "square" else hadamard(len(values))
        W = columns * np.sqrt(values) * rng.choice([-1.0, 1.0], size=len(values))
        return store(rng.permutation(rng.permutation(W.T if shape == "wide" else W), axis=1))

    return built(matrix, spectra, names_of(shapes, "shapes", SHAPES), generators("spectra"))


def _spectrum(values: Sequence[float]) -> np.ndarray:
    if len(values) < 2:
        raise RangeError("eigenvalues", "at least two numbers", repr(values))
    return np.array([as_real(value, "eigenvalues", low=0, low_open=True) for value in values])
