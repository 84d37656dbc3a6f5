"""Arrays at the door: what is let in, what comes out, and that nobody's memory or settings are touched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import jaxtyping
import naive
import numpy as np
import pytest
import torch

from sphere_theory import energy, energy_gradient, principal_space
from sphere_theory.arrays import (
    as_choice,
    as_count,
    as_matrix,
    as_real,
    as_real_tensor,
    full_precision,
    like,
)
from sphere_theory.neurons import as_neurons
from sphere_theory.pairs import pair_squares

W = naive.structured("gaussian", 0, 4, 3)


def record_field(W: np.ndarray) -> np.ndarray:
    """A column block of a packed record array: its strides are no multiple of its items."""
    records = np.zeros(W.shape, dtype=[("flag", "u1"), ("weight", "f8")])
    records["weight"] = W
    return records["weight"]


LET_IN: dict[str, Callable[[np.ndarray], Any]] = {
    "float64": np.asarray,
    "negative strides": lambda W: W[::-1, ::-1].copy()[::-1, ::-1],
    "fortran order": np.asfortranarray,
    "broadcast": lambda W: np.broadcast_to(W[:1], (4, 3)),
    "read-only": lambda W: np.frombuffer(W.tobytes()).reshape(4, 3),
    "foreign byte order": lambda W: W.astype(">f8"),
    "record field": record_field,
    "subclass": lambda W: W.view(type("Tagged", (np.ndarray,), {})),
    "tensor": torch.from_numpy,
    "leaf": lambda W: torch.from_numpy(W.copy()).requires_grad_(),
    "strided tensor": lambda W: torch.from_numpy(np.kron(W, np.ones((2, 3))))[::2, ::3],
    "expanded tensor": lambda W: torch.from_numpy(W[0]).expand(4, 3),
}


@pytest.mark.parametrize("form", LET_IN)
def test_the_same_numbers_come_in(form: str) -> None:
    given = LET_IN[form](W)
    inside = as_matrix(given, "W")
    assert inside.dtype == torch.float64
    assert not inside.requires_grad
    assert inside.tolist() == given.tolist()


@pytest.mark.parametrize("form", ["foreign byte order", "record field"])
def test_unusual_memory_reaches_the_public_functions(form: str) -> None:
    given = LET_IN[form](W)
    assert energy(given) == energy(W)
    assert (energy_gradient(given) == energy_gradient(W)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_formats_are_widened_exactly(dtype: torch.dtype) -> None:
    stored = torch.from_numpy(W).to(dtype)
    inside = as_matrix(stored, "W")
    assert inside.dtype == torch.float32
    assert inside.tolist() == stored.tolist()
    assert as_matrix(np.asarray(W, np.float16), "W").dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_formats_come_out_as_float32(dtype: torch.dtype) -> None:
    stored = torch.from_numpy(W).to(dtype)
    assert energy_gradient(stored).dtype == torch.float32
    assert energy(stored) == energy(stored.float())


def test_wide_formats_are_not_copied() -> None:
    for given in (W, W.astype(np.float32), W.T):
        assert as_matrix(given, "W").data_ptr() == given.ctypes.data
    tensor = torch.from_numpy(W)
    assert as_matrix(tensor, "W").data_ptr() == tensor.data_ptr()


def test_inputs_are_not_written_to() -> None:
    for scale in (1.0, 1e-300, 1e300):
        stored = W * scale
        before = stored.copy()
        energy(stored), energy_gradient(stored), principal_space(stored, rows="unit")
        assert (stored == before).all()


def test_any_shape_is_a_tensor_but_two_dimensions_make_a_matrix() -> None:
    assert as_real_tensor(np.ones((2, 3, 4)), "x").shape == (2, 3, 4)
    assert as_matrix(W, "x", rows=4, columns=3).shape == (4, 3)


def test_results_are_like_the_model() -> None:
    tensor = torch.ones(2)
    assert like(tensor, torch.ones(1)) is tensor
    assert isinstance(like(tensor, W), np.ndarray)
    assert like(tensor, W).ctypes.data == tensor.data_ptr()


def test_scalars() -> None:
    assert as_real(np.float32(0.5), "x", low=0) == 0.5
    assert isinstance(as_real(2, "x", low=0), float)
    assert as_real(2, "x", low=0, high=2) == 2
    assert as_count(np.int64(3), "x", low=3) == 3
    assert type(as_count(np.int64(3), "x", low=3)) is int
    assert as_choice("a", "x", ("a", "b")) == "a"


def test_precision_is_put_back_even_after_an_error() -> None:
    torch.set_float32_matmul_precision("medium")
    try:
        with contextlib.suppress(KeyError), full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.is_grad_enabled()
            raise KeyError
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.is_grad_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")


def test_annotations_are_enforced_in_this_suite() -> None:
    """The import hook in conftest.py is on: types and shapes."""
    with pytest.raises(jaxtyping.TypeCheckError):
        energy([[1.0, 2.0]])
    with pytest.raises(jaxtyping.TypeCheckError):
        pair_squares(as_neurons(W), torch.zeros(3, dtype=torch.int64))


@pytest.mark.gpu
def test_arrays_stay_on_their_device(cuda: torch.device) -> None:
    there = torch.from_numpy(W).to(cuda)
    assert as_matrix(there, "W").device == there.device
    assert energy_gradient(there).device == there.device
