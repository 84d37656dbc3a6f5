"""Rows that are ready for products: none overflows or vanishes, and what was scaled is told."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch

from sphere_theory.errors import ZeroRowError
from sphere_theory.neurons import CHUNK, NORM_LIMIT, as_neurons, runs_between, widened

EXTREMES = {
    "float32": np.array([1e-40, 1e-30, 1.0, 1e30]),
    "float64": np.array([1e-320, 1e-300, 1.0, 1e300]),
}


@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_ordinary_rows_are_taken_as_they_are(dtype: str) -> None:
    W = torch.from_numpy(naive.structured("gaussian", 1, 9, 5, dtype))
    neurons = as_neurons(W)
    assert neurons.rows.data_ptr() == W.data_ptr(), "expected no copy"
    assert not neurons.exponents.any()
    naive.check_close(neurons.norms.numpy(), naive.norms(naive.exact(W)), 1e-15, 1.0)


@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_rows_at_the_ends_of_the_range_are_scaled_by_powers_of_two(dtype: str) -> None:
    W = (np.random.default_rng(2).normal(size=(4, 6)) * EXTREMES[dtype][:, None]).astype(dtype)
    neurons = as_neurons(W)
    limit = NORM_LIMIT[neurons.rows.dtype]
    assert ((neurons.norms > 1 / limit) & (neurons.norms < limit)).all()
    assert torch.equal(torch.ldexp(neurons.rows, neurons.exponents[:, None]), torch.from_numpy(W))
    assert torch.equal(neurons.on_scale(torch.from_numpy(W)), neurons.rows.double())
    expected = naive.norms(naive.exact(W)).astype(float)
    naive.check_close(neurons.true_norms()[1:].numpy(), expected[1:], 1e-14, expected[1:])


def test_a_zero_row_among_them_is_named() -> None:
    W = np.ones((5, 3))
    W[[2, 4]] = 0
    message = "V: expected no zero row (it has no direction), got 2 zero rows (first at row 2)"
    naive.check_refused(lambda: as_neurons(W, "V"), ZeroRowError, message)


def test_runs_follow_each_other() -> None:
    assert runs_between(3, 10, 4) == [slice(3, 7), slice(7, 10)]
    assert runs_between(3, 3, 4) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_widened_a_few_at_a_time(dtype: torch.dtype) -> None:
    """More rows than one piece holds: each comes once, in its run."""
    rows = torch.arange(3 * CHUNK // 2, dtype=dtype).reshape(-1, CHUNK // 4)
    seen = []
    for run, some, block in widened(rows, [slice(0, 5), slice(5, 6)]):
        assert run.start <= some.start < some.stop <= run.stop
        assert block.dtype == torch.float64
        assert block.numel() <= CHUNK
        assert torch.equal(block, rows[some].double())
        seen += range(some.start, some.stop)
    assert seen == list(range(6))
