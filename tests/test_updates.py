"""Edits in two thin factors are the edits that they stand for."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch

from sphere_theory import LowRankUpdate
from sphere_theory.updates import add_update, as_edit, dense_tensor, same_device, transposed

rng = np.random.default_rng(0)
LEFT, RIGHT = rng.normal(size=(7, 2)), rng.normal(size=(5, 2))
DENSE = LEFT @ RIGHT.T


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_factors_stand_for_their_product(library: str, dtype: str) -> None:
    factors = [x.astype(dtype) for x in (LEFT, RIGHT)]
    update = LowRankUpdate(*(map(torch.from_numpy, factors) if library == "torch" else factors))
    assert (update.shape, update.rank) == ((7, 5), 2)
    naive.check_kind(update.dense(), update.left, dtype)
    naive.check_close(naive.plain(update.dense()), DENSE, 1e-6, 1.0)
    naive.check_close(update.norm(), np.linalg.norm(DENSE), 1e-6)


def test_factors_of_two_dtypes_are_taken_in_the_wider() -> None:
    update = LowRankUpdate(LEFT.astype(np.float32), RIGHT)
    assert {factor.dtype for factor in update.factors()} == {torch.float64}
    naive.check_close(update.norm(), np.linalg.norm(DENSE), 1e-6)


def test_an_edit_is_the_same_in_either_form() -> None:
    update = LowRankUpdate(torch.from_numpy(LEFT).float(), torch.from_numpy(RIGHT).float())
    edit = as_edit(update, "delta", rows=7, columns=5)
    assert edit.dtype == torch.float64, "expected no rounding of a float32 product"
    left, right = (factor.double() for factor in update.factors())
    assert torch.equal(edit, left @ right.T)
    assert torch.equal(dense_tensor(edit), edit)
    naive.check_close(dense_tensor(update).numpy(), DENSE, 1e-6, 1.0)
    for form in (update, edit):
        naive.check_close(dense_tensor(transposed(form)).numpy(), DENSE.T, 1e-6, 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_added_has_the_dtype_of_the_weights(dtype: torch.dtype) -> None:
    W = torch.ones((7, 5), dtype=dtype)
    for update in (LowRankUpdate(torch.from_numpy(LEFT), torch.from_numpy(RIGHT)), torch.from_numpy(DENSE)):
        edited = add_update(W, update)
        assert edited.dtype == dtype
        naive.check_close(edited.numpy(), 1 + DENSE, 1e-6, 1.0)
    assert (W == 1).all(), "expected W as it was"


def test_a_tensor_that_is_there_is_not_copied() -> None:
    W = torch.ones(3)
    assert same_device(W, W) is W
    assert same_device(W.double(), W).dtype == torch.float32
