"""What every strategy is made of: arguments that are values or strategies, and seeded generators."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeAlias

import numpy as np
import torch
from hypothesis import strategies as st

from sphere_theory.arrays import as_choice, as_count, as_real
from sphere_theory.errors import RangeError

Counts: TypeAlias = int | st.SearchStrategy[int]
Reals: TypeAlias = float | st.SearchStrategy[float]
Strategy: TypeAlias = st.SearchStrategy[Any]


def built(make: Callable[..., Any], *parts: Strategy) -> Strategy:
    """A strategy of what a function makes of parts, each drawn by itself."""
    return st.tuples(*parts).map(lambda drawn: make(*drawn))


def checked(value: Any, check: Callable[[Any], Any]) -> Strategy:
    """A strategy of checked values: a plain value is checked at once, a strategy's as they are drawn."""
    return value.map(check) if isinstance(value, st.SearchStrategy) else st.just(check(value))


def counts(value: Counts, argument: str, *, low: int, high: int | None = None) -> st.SearchStrategy[int]:
    """Integers of an interval: one, or a strategy of them."""
    return checked(value, partial(as_count, argument=argument, low=low, high=high))


def reals(
    value: Reals, argument: str, *, low: float, high: float = math.inf, low_open: bool = False
) -> st.SearchStrategy[float]:
    """Numbers of an interval: one, or a strategy of them."""
    return checked(value, partial(as_real, argument=argument, low=low, high=high, low_open=low_open))


def names_of(names: tuple[str, ...], argument: str, choices: tuple[str, ...]) -> st.SearchStrategy[str]:
    """One of some names, all of them among the choices."""
    if not isinstance(names, tuple) or not names:
        raise RangeError(argument, "a tuple of at least one name", repr(names))
    return st.sampled_from([as_choice(name, argument, choices) for name in names])


def storage(dtype: str, library: str) -> Callable[[np.ndarray], Any]:
    """What turns a float64 matrix into one of a dtype and a library."""
    as_choice(dtype, "dtype", ("float32", "float64"))
    as_choice(library, "library", ("numpy", "torch"))

    def store(matrix: np.ndarray) -> Any:
        array = matrix.astype(dtype, order="K")  # keeps a transposed layout transposed
        return torch.from_numpy(array) if library == "torch" else array

    return store


@cache  # Hypothesis validates each strategy object once
def generators(stream: str) -> st.SearchStrategy[np.random.Generator]:
    """Generators of one stream, each seeded by one drawn integer."""
    # One stream a strategy: with seeds alone, weights and edits that both shrink to seed 0 would be equal.
    key = int.from_bytes(stream.encode())
    return st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng([seed, key]))
