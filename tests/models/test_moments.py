"""Second moments of keys: not centred, summed in float64, of the keys' own kind."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch

from sphere_theory.errors import ShapeError
from sphere_theory.models.moments import second_moment


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_the_mean_of_outer_products(library: str, dtype: str) -> None:
    """Not centred: keys have a mean of 3."""
    K = (3 + np.random.default_rng(0).normal(size=(5, 40))).astype(dtype)
    keys = torch.from_numpy(K) if library == "torch" else K
    found = second_moment(keys)
    naive.check_kind(found, keys, dtype)
    expected = np.mean([np.outer(key, key) for key in K.T.astype(np.float64)], axis=0)
    naive.check_close(naive.plain(found), expected, 1e-6 if dtype == "float32" else 1e-14)


def test_sums_are_taken_in_float64() -> None:
    """In float32 a million keys of one entry 1 + 2⁻¹⁰ would sum to something else."""
    keys = torch.full((1, 1_000_003), 1 + 2**-10)
    assert float(second_moment(keys)) == float(np.float32((1 + 2**-10) ** 2))


def test_narrow_keys_are_widened() -> None:
    assert second_moment(torch.ones(3, 2, dtype=torch.bfloat16)).dtype == torch.float32


def test_keys_have_to_be_there() -> None:
    message = "keys: expected at least one row and one column, got shape (3, 0)"
    naive.check_refused(lambda: second_moment(np.ones((3, 0))), ShapeError, message)
