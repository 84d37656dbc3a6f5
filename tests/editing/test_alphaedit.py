"""AlphaEdit: nothing is moved outside of the null space, and there has to be one."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from edited_layer import C0, D, W, batch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import AlphaEdit, LayerMemory
from sphere_theory.editing.alphaedit import null_space
from sphere_theory.errors import SingularError


@given(seed=st.integers(0, 999))
def test_the_other_directions_are_left_alone(seed: int) -> None:
    threshold = float(np.median(np.linalg.eigvalsh(C0)))
    delta = AlphaEdit(2.0, threshold).update(LayerMemory(W, C0), batch(3, seed)).dense()
    kept = np.eye(D) - naive.null_projector(C0, threshold)
    naive.check_close(delta @ kept, 0, 1e-12, np.abs(delta).max())


@pytest.mark.parametrize("free", [1, 4, D])
def test_the_null_space_is_what_preserved_keys_hardly_use(free: int) -> None:
    values = np.linalg.eigvalsh(C0)
    threshold = float(values[free - 1] * (1 + 1e-9))
    space = null_space(LayerMemory(W, C0), threshold).numpy()
    assert space.shape == (D, free)
    naive.check_close(space @ space.T, naive.null_projector(C0, threshold), 1e-12, 1.0)


def test_without_a_null_space_there_is_no_edit() -> None:
    lowest, highest = np.linalg.eigvalsh(C0)[[0, -1]]
    message = (
        "memory.second_moment: expected an eigenvalue below threshold=0.0001, "
        f"got eigenvalues from {lowest:.3g} to {highest:.3g}"
    )
    call = AlphaEdit(threshold=1e-4).apply
    naive.check_refused(lambda: call(LayerMemory(W, C0), batch(2)), SingularError, message)
